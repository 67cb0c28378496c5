// Oracle: closed forms on a handful of vectors.
#include "sgmae/ncut/graph.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

TEST(Similarity, IsTheCosine) {
  const at::Tensor x = at::tensor({3.f, 0.f, 1.f, 1.f, 0.f, -2.f}).view({1, 3, 2});
  const at::Tensor m = similarity(x);
  const double root_half = std::sqrt(0.5);
  const double expected[3][3] = {{1, root_half, 0}, {root_half, 1, -root_half}, {0, -root_half, 1}};
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j)
      EXPECT_NEAR(m[0][i][j].item<double>(), expected[i][j], 1e-6) << i << ' ' << j;  // fp32
}

TEST(Similarity, TakesAnyNumberTypeAndGivesFp32) {
  const at::Tensor x = at::randn({2, 5, 4});
  const at::Tensor m = similarity(x.to(at::kDouble));
  EXPECT_EQ(m.scalar_type(), at::kFloat);
  EXPECT_LT((m - similarity(x)).abs().max().item<double>(), 1e-6);
}

TEST(Similarity, OfAZeroVectorIsZero) {
  at::Tensor x = at::randn({1, 4, 3});
  x[0][2].zero_();
  const at::Tensor m = similarity(x);
  EXPECT_EQ(m[0][2].abs().max().item<double>(), 0.0);
  EXPECT_TRUE(m.isfinite().all().item<bool>());
}

TEST(Similarity, DoesNotHideNaN) {
  at::Tensor x = at::randn({1, 4, 3});
  x[0][1][0] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(similarity(x)[0][0][1].isnan().item<bool>());
}

TEST(CenterFeatures, SubtractsWhatIsAskedFor) {
  const at::Tensor x = at::randn({3, 4, 5});
  const at::Tensor position_mean = at::randn({4, 5});
  EXPECT_TRUE(center_features(x, GuideCenter::none).equal(x));
  const at::Tensor by_mean = center_features(x, GuideCenter::mean);
  EXPECT_LT(by_mean.mean(1).abs().max().item<double>(), 1e-6);
  EXPECT_LT((x - by_mean - x.mean(1, true)).abs().max().item<double>(), 1e-6);
  EXPECT_TRUE(center_features(x, GuideCenter::position, position_mean).equal(x - position_mean));
}

TEST(CenterFeatures, RefusesMissingOrForeignPositionMeans) {
  const at::Tensor x = at::randn({3, 4, 5});
  for (const at::Tensor& wrong : {at::Tensor(), at::zeros({5, 5}), at::zeros({4, 6})}) {
    try {
      center_features(x, GuideCenter::position, wrong);
      FAIL() << "accepted";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ExitCode::checkpoint);
    }
  }
}

}  // namespace
}  // namespace sgmae
