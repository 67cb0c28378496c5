// Oracles: the numbers put into a chart, and the header of PNG files.
#include "sgmae/report/blocks.h"

#include <cmath>

#include "sgmae/report/markup.h"
#include "tests/report/folder.h"
#include "tests/report/well_formed.h"

namespace sgmae {
namespace {

using Blocks = RunFolderTest;

TEST_F(Blocks, TablesAreEscapedAndMarked) {
  const Table table{
      .head = {"", "<a>"}, .rows = {{"x", "1 & 2"}, {"y", "3"}}, .marked = {false, true}};
  const std::string html = table_html(table);
  expect_well_formed(html);
  EXPECT_TRUE(contains(html, "1 &amp; 2"));
  EXPECT_EQ(count_of(html, "class=\"differs\""), 1u);
}

TEST_F(Blocks, TheTableOfAChartHoldsItsNumbers) {
  const Chart chart{
      .title = "t",
      .x_label = "epoch",
      .y_label = "y",
      .series = {{.name = "a", .x = {0, 1, 2}, .y = {0.8776162, NAN, 3}, .spread = {0.5, 1, 2}},
                 {.name = "b", .x = {1, 2, 5}, .y = {10, 20, 1e-7}}}};
  const Table table = chart_table(chart, 100);
  EXPECT_EQ(table.head, (std::vector<std::string>{"epoch", "a", "spread, a", "b"}));
  const std::vector<std::vector<std::string>> rows{{"0", "0.877616", "0.5", "–"},
                                                   {"1", "–", "1", "10"},
                                                   {"2", "3", "2", "20"},
                                                   {"5", "–", "–", "1e-07"}};
  EXPECT_EQ(table.rows, rows);
}

TEST_F(Blocks, LongTablesAreThinnedEvenly) {
  Series series{.name = "s"};
  for (int i = 0; i < 1001; ++i) {
    series.x.push_back(i);
    series.y.push_back(2 * i);
  }
  const Table table =
      chart_table({.title = "t", .x_label = "x", .y_label = "y", .series = {series}}, 100);
  EXPECT_EQ(table.rows.size(), 92u);  // every 11th of 0 … 1000, which ends at 1000 - 10; and 1000
  EXPECT_EQ(table.rows[1][0], "11");
  EXPECT_EQ(table.rows.back()[0], "1000");
}

TEST_F(Blocks, ACardNamesLinesWhenThereAreSeveral) {
  Chart chart{.title = "t",
              .x_label = "x",
              .y_label = "y",
              .series = {{.name = "<a>", .x = {0, 1}, .y = {0, 1}}}};
  std::string card = chart_card(chart);
  expect_well_formed(card);
  EXPECT_FALSE(contains(card, "class=\"legend\""));
  chart.series.push_back(chart.series[0]);
  card = chart_card(chart);
  expect_well_formed(card);
  EXPECT_TRUE(contains(card, "class=\"legend\""));
  EXPECT_TRUE(contains(card, "<details>"));
  EXPECT_EQ(chart_card(Chart{}), "");
}

TEST_F(Blocks, PicturesAreEmbeddedWhole) {
  picture("a.png", 5);
  PictureBox box(1 << 20);
  const std::string html = box.picture(root_ / "a.png", "a \"title\"", "and <caption>");
  expect_well_formed(html);
  EXPECT_TRUE(contains(html, "data:image/png;base64," + base64(read_file(root_ / "a.png"))));
  EXPECT_TRUE(contains(html, "width=\"5\" height=\"5\""));
  EXPECT_EQ(box.left_out(), 0);
}

TEST_F(Blocks, PicturesBeyondTheLimitAndOtherFilesAreNamed) {
  picture("a.png");
  write("b.png", "GIF89a and so on, for longer than a header");
  PictureBox box(std::filesystem::file_size(root_ / "a.png"));
  EXPECT_TRUE(
      contains(box.picture(root_ / "b.png", "", ""), "b.png is not shown: it is not a PNG"));
  EXPECT_TRUE(contains(box.picture(root_ / "a.png", "", ""), "<img"));
  EXPECT_TRUE(contains(box.picture(root_ / "a.png", "", ""), "too large together"));
  EXPECT_TRUE(contains(box.picture(root_ / "none.png", "", ""), "cannot be read"));
  EXPECT_TRUE(contains(box.picture(root_, "", ""), "cannot be read"));
  EXPECT_EQ(box.left_out(), 4);
}

}  // namespace
}  // namespace sgmae
