// Oracle: the distributions of method.md 2.1 (MAE's initialisation), by bounds and moments.
#include "sgmae/nn/initialiser.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include <cmath>

#include "sgmae/nn/mae.h"
#include "tests/tiny_mae.h"

namespace sgmae {
namespace {

std::vector<Parameter> list() {
  std::vector<Parameter> parameters;
  parameters.reserve(16);
  return parameters;
}

TEST(Initialiser, DrawsWhatItSays) {
  std::vector<Parameter> parameters = list();
  Initialiser init(parameters, 3);
  const at::Tensor normal = init.normal("normal", {200, 500}, 0.02)->value;
  // 1e5 draws: the deviation's own is 0.02 / sqrt(2e5) = 4.5e-5, the mean's 6.3e-5.
  EXPECT_NEAR(normal.std().item<double>(), 0.02, 3e-4);
  EXPECT_NEAR(normal.mean().item<double>(), 0, 4e-4);

  const at::Tensor xavier = init.xavier("xavier", {300, 100}, 100, 300)->value;
  const double bound = std::sqrt(6.0 / 400);
  EXPECT_LE(xavier.abs().max().item<double>(), bound);
  EXPECT_GT(xavier.abs().max().item<double>(), 0.999 * bound);
  EXPECT_NEAR(xavier.std().item<double>(), bound / std::sqrt(3.0), 0.01 * bound);

  EXPECT_EQ(init.constant("one", {4}, 1)->value.sum().item<double>(), 4);
  EXPECT_FALSE(init.fixed("table", at::ones({2}))->trained());
  EXPECT_TRUE(init.trained("learned", at::ones({2}))->trained());
}

TEST(Initialiser, AStreamOfItsOwnForEveryTensorOfEverySeed) {
  const auto draw = [](std::uint64_t seed) {
    std::vector<Parameter> parameters = list();
    Initialiser init(parameters, seed);
    init.normal("a", {50}, 1);
    init.normal("b", {50}, 1);
    return parameters;
  };
  const auto one = draw(1), again = draw(1), other = draw(2);
  EXPECT_TRUE(at::equal(one[0].value, again[0].value));
  EXPECT_FALSE(at::equal(one[0].value, one[1].value));
  EXPECT_FALSE(at::equal(one[0].value, other[0].value));
}

TEST(Initialiser, WithoutASeedItMakesTheSameParametersUndrawn) {
  const Mae drawn(tiny_mae(), 1);
  Mae undrawn(tiny_mae(), std::nullopt);
  ASSERT_EQ(undrawn.parameters().size(), drawn.parameters().size());
  for (std::size_t i = 0; i < drawn.parameters().size(); ++i) {
    const Parameter &from = drawn.parameters()[i], &to = undrawn.parameters()[i];
    EXPECT_EQ(to.name, from.name);
    EXPECT_EQ(to.trained(), from.trained());
    ASSERT_EQ(to.value.sizes(), from.value.sizes());
    to.value.copy_(from.value);
  }
  undrawn.parameters_changed();
  const at::Tensor pixels = at::ones({1, 1, 16, 16});
  EXPECT_TRUE(at::equal(undrawn.encode(pixels), drawn.encode(pixels)));
}

}  // namespace
}  // namespace sgmae
