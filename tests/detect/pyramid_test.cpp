// Oracle: sizes written out; values are held against PyTorch's in the whole model's test.
#include "sgmae/detect/pyramid.h"

#include <gtest/gtest.h>

#include "tests/support/tensors.h"

namespace sgmae {
namespace {

TEST(FeaturePyramid, HasFiveLevelsOfAnyMap) {
  std::vector<Parameter> parameters;
  parameters.reserve(40);
  Initialiser init(parameters, 1);
  const FeaturePyramid pyramid(16, 8, LayerMaker(init));
  for (const auto& [rows, columns] : {std::pair{8, 8}, {5, 12}, {1, 3}, {1, 1}}) {
    const auto levels = pyramid.forward(noise({1, 16, rows, columns}, 2), at::kFloat);
    ASSERT_EQ(levels.size(), 5u);
    const auto expect = [&](std::size_t level, std::int64_t height, std::int64_t width) {
      EXPECT_EQ(levels[level].sizes(), (at::IntArrayRef{1, 8, height, width})) << level;
    };
    const int half_rows = std::max(rows / 2, 1), half_columns = std::max(columns / 2, 1);
    expect(0, 4 * rows, 4 * columns);
    expect(1, 2 * rows, 2 * columns);
    expect(2, rows, columns);
    expect(3, half_rows, half_columns);
    expect(4, (half_rows + 1) / 2, (half_columns + 1) / 2);
  }
  EXPECT_EQ(FeaturePyramid::stride(0, 16), 4);
  EXPECT_EQ(FeaturePyramid::stride(4, 16), 64);
}

}  // namespace
}  // namespace sgmae
