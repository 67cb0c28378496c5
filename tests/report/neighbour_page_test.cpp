// Oracle: the judge of XML in well_formed.h.
#include "sgmae/report/neighbour_page.h"

#include <gtest/gtest.h>

#include "sgmae/image/draw.h"
#include "tests/report/well_formed.h"

namespace sgmae {
namespace {

TEST(NeighbourPage, IsSelfContainedAndNamesItsImages) {
  const Image picture = blank_image({20, 10}, {9, 9, 9});
  const NeighbourSection section{
      .heading = "a <b>.jpg",
      .text = "\xff",
      .row = {{picture, "query"}, {picture, "0.9 <cat>"}},
      .table = {.head = {"image", "class", "cosine"}, .rows = {{"c & d.jpg", "cat", "0.90000"}}}};
  const std::string html = neighbour_page("Nearest neighbours", {section, section});
  expect_well_formed(html);
  const auto count_of = [&](const std::string& text) {
    int count = 0;
    for (auto at = html.find(text); at != std::string::npos; at = html.find(text, at + 1)) ++count;
    return count;
  };
  EXPECT_EQ(count_of("<img"), 2);
  EXPECT_EQ(count_of("src=\"data:image/png;base64,"), 2);
  EXPECT_EQ(count_of("c &amp; d.jpg"), 2);
  EXPECT_EQ(count_of("a &lt;b&gt;.jpg</h2>"), 2);
  EXPECT_EQ(count_of("<nav"), 0);
}

}  // namespace
}  // namespace sgmae
