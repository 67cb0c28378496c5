// Oracle: torch's interpolate (tests/golden/families.py) in the three ways of the field, from a
// grid of 4 x 6 to 7 x 5.
#include "sgmae/nn/position_embedding.h"

#include <gtest/gtest.h>

#include "sgmae/io/safetensors.h"

namespace sgmae {
namespace {

TEST(PositionEmbedding, IsResizedAsTorchDoes) {
  const TensorFile golden = read_safetensors(SGMAE_TEST_DATA "/nn/position_resize.safetensors");
  const at::Tensor& table = *golden.find("table");
  for (const auto& [how, name] :
       {std::pair{PositionResize::plain, "plain"}, std::pair{PositionResize::offset, "offset"},
        std::pair{PositionResize::antialias, "antialias"}}) {
    const at::Tensor resized = resize_position_embedding(table, {4, 6}, {7, 5}, how);
    // Values up to 4, some twenty fp32 operations each, in the instruction set's order.
    EXPECT_LT(resized.sub(*golden.find(name)).abs().max().item<double>(), 4e-6) << name;
  }
}

TEST(PositionEmbedding, StaysOnItsOwnGrid) {
  const at::Tensor table = sincos_position_embedding(3, 5, 8);
  EXPECT_TRUE(
      resize_position_embedding(table, {3, 5}, {3, 5}, PositionResize::offset).equal(table));
}

}  // namespace
}  // namespace sgmae
