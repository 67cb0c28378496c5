// Oracle: the metrics.json written here.
#include "sgmae/report/paper_figures.h"

#include "tests/report/folder.h"
#include "tests/report/well_formed.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

using PaperFigures = RunFolderTest;

TEST_F(PaperFigures, AreNamedInFull) {
  EXPECT_EQ(figure_of("Fig. 7a"), "Figure 7");
  EXPECT_EQ(figure_of("Figs. 1, III, VII"), "Figure 1");
  EXPECT_EQ(figure_of("Fig. VIII"), "Figure VIII");
  EXPECT_EQ(figure_of("Table 1"), "Table 1");
  EXPECT_EQ(figure_of("Fig."), "Fig.");
  EXPECT_EQ(figure_of(""), "");
}

TEST_F(PaperFigures, FoldTheChartsInThePapersOrder) {
  picture("run/analysis/clusters.png");
  write("run/analysis/metrics.json", R"({"schema": 1, "images": 8, "models": [{"name": "m"}],
    "metrics": {
      "auc": {"title": "AUC", "paper": "", "good": "Good: 1.", "series": [{"model": 0, "at": [0, 1], "values": [1, 2]}]},
      "distance": {"title": "Distance", "paper": "Fig. 7a", "series": [{"model": 0, "at": [0, 1], "values": [1, 2]}]},
      "spectrum": {"title": "Spectrum", "paper": "Fig. 7b", "series": [{"model": 0, "at": [0, 1], "values": [1, 2]}]},
      "heads": {"title": "Heads", "paper": "Fig. 7a", "series": [{"model": 0, "head": 0, "at": [0], "values": [1]},
                                                                {"model": 0, "head": 1, "at": [0], "values": [2]}]},
      "mine": {"title": "Mine", "paper": "Fig. 99", "series": [{"model": 0, "at": [0], "values": [1]}]}},
    "figures": [{"file": "clusters.png", "title": "Clusters", "caption": "five", "paper": "Figs. 1, III, VII"}]})");
  std::set<fs::path> shown;
  PictureBox box(1 << 20);
  const std::string html = analysis({read_run(root_ / "run")}, shown, box);
  expect_well_formed(html);
  EXPECT_EQ(count_of(html, "<details class=\"figure\">"), 4u);
  const std::size_t first = html.find("<strong>Figure 1</strong>: the parts"),
                    seventh = html.find("<strong>Figure 7</strong>"),
                    beyond = html.find("<strong>Not in the paper</strong>"),
                    unknown = html.find("<strong>Figure 99</strong> (1 chart)");
  EXPECT_LT(first, seventh);
  EXPECT_LT(seventh, beyond);
  EXPECT_LT(beyond, unknown);
  EXPECT_NE(unknown, html.npos);
  EXPECT_TRUE(contains(html, "Good: parts end where things end"));
  EXPECT_TRUE(contains(html, "Good: 1."));
  EXPECT_TRUE(contains(html, "(3 charts)"));
  EXPECT_TRUE(contains(html, "By head and block"));
  EXPECT_EQ(shown, std::set<fs::path>{(root_ / "run/analysis/clusters.png").lexically_normal()});
}

TEST_F(PaperFigures, WhatIsDamagedIsSaid) {
  write("run/metrics.json", "{");
  std::set<fs::path> shown;
  PictureBox box(0);
  EXPECT_TRUE(contains(analysis({read_run(root_ / "run")}, shown, box), "is left out"));
}

}  // namespace
}  // namespace sgmae
