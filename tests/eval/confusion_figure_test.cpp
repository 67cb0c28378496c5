// Oracle: colours of shares counted by hand.
#include "sgmae/eval/confusion_figure.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "sgmae/image/draw.h"

namespace sgmae {
namespace {

Colour at(const Image& image, int x, int y) {
  const std::uint8_t* p = image.pixels.data() + (static_cast<std::size_t>(y) * image.width + x) * 3;
  return {p[0], p[1], p[2]};
}

// Three classes in cells of 48 pixels, the last without images.
TEST(ConfusionFigure, RowsAreSharesOfTheTrueClass) {
  const std::vector<std::int64_t> counts{9, 0, 0, 1, 1, 2, 0, 0, 0};
  const Image figure = confusion_figure(counts, 3, {"cat", "dog"});
  const int top = figure.height - 12 - 3 * 48;
  int left = 0;
  while (left + 3 * 48 < figure.width && at(figure, left, top + 3) != heat(1)) ++left;
  const auto cell = [&](int row, int column) {  // beside the number in its middle
    return at(figure, left + column * 48 + 3, top + row * 48 + 3);
  };
  EXPECT_EQ(cell(0, 0), heat(1));
  EXPECT_EQ(cell(0, 1), heat(0));
  EXPECT_EQ(cell(1, 0), heat(0.25));
  EXPECT_EQ(cell(1, 2), heat(0.5));
  EXPECT_EQ(cell(2, 2), (Colour{255, 255, 255}));
  // Names are of the axes, not on the cells.
  const Image other = confusion_figure(counts, 3, {"cat", "dig"});
  ASSERT_EQ(other.size(), figure.size());
  EXPECT_NE(other.pixels, figure.pixels);
  for (int y = top; y < top + 3 * 48; ++y)
    for (int x = left; x < left + 3 * 48; ++x) EXPECT_EQ(at(other, x, y), at(figure, x, y));
}

TEST(ConfusionFigure, HasRoomForAnyNumberOfClasses) {
  for (const int n : {1, 2, 20, 101, 1000}) {
    std::vector<std::int64_t> counts(static_cast<std::size_t>(n) * n);
    for (int c = 0; c < n; ++c) counts[static_cast<std::size_t>(c) * n + c] = 1;
    const Image figure = confusion_figure(
        counts, n, std::vector<std::string>(n, "a class with a rather long name, as some have"));
    EXPECT_GE(figure.width, n);
    EXPECT_LT(figure.width, 1300);
    if (n >= 20) {
      EXPECT_EQ(at(figure, figure.width - 13, figure.height - 13), heat(1));
    }
  }
}

}  // namespace
}  // namespace sgmae
