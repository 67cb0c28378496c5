// Oracle: the closed form of the recursion for a constant, and for two values.
#include "sgmae/optim/ema.h"

#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

TEST(Ema, ForgetsItsBeginningGeometrically) {
  std::vector<Parameter> parameters{{"w", at::zeros({3}), at::zeros({3})},
                                    {"b", at::full({}, 5.0f), {}}};
  Ema ema(parameters);
  parameters[0].value.fill_(2);
  for (int i = 0; i < 10; ++i) ema.update(parameters, 0.9);
  // 2 (1 - 0.9^10); fp32 rounds each of ten steps by 6e-8 of it.
  EXPECT_NEAR(ema.values()[0].second[1].item<double>(), 2 * (1 - std::pow(0.9, 10)), 2e-6);
  EXPECT_NEAR(ema.values()[1].second.item<double>(), 5, 2e-6) << "a constant stays";
  EXPECT_EQ(parameters[0].value[0].item<double>(), 2) << "what is averaged is left alone";
}

TEST(Ema, StateComesBack) {
  std::vector<Parameter> parameters{{"w", at::full({2}, 1.0f), {}}};
  Ema ema(parameters), other(parameters);
  parameters[0].value.fill_(3);
  ema.update(parameters, 0.5);
  TensorFile file{ema.state(), {}};
  EXPECT_EQ(file.tensors[0].first, "ema.w");
  other.load(file);
  EXPECT_EQ(other.values()[0].second[0].item<double>(), 2);
  file.tensors[0].second = at::zeros({5});
  EXPECT_THROW(other.load(file), Error);
}

TEST(Ema, MomentumRisesAsAHalfCosine) {
  EXPECT_DOUBLE_EQ(rising_momentum(0.99, 0), 0.99);
  EXPECT_DOUBLE_EQ(rising_momentum(0.99, 0.5), 0.995);
  EXPECT_DOUBLE_EQ(rising_momentum(0.99, 1), 1);
  EXPECT_NEAR(rising_momentum(0.9, 0.25), 1 - 0.1 * (1 + std::sqrt(0.5)) / 2, 1e-12);
}

}  // namespace
}  // namespace sgmae
