// Oracle: closed forms (what is visible stays, what the model predicts is put where it was masked).
#include "sgmae/analysis/reconstruction.h"

#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <vector>

#include "sgmae/nn/patches.h"

namespace sgmae {
namespace {

MaeConfig tiny(bool norm_pix) {
  MaeConfig config;
  config.height = 16;
  config.width = 24;
  config.patch_size = 8;
  config.encoder = {16, 2, 2};
  config.decoder = {16, 1, 2};
  config.norm_pix_loss = norm_pix;
  return config;
}

// Two of six patches visible.
MaskPlan plan_of(const std::vector<std::int64_t>& order) {
  return {at::tensor(order, at::kLong).view({-1, 6}), 2};
}

TEST(Reconstruction, VisiblePatchesStayAndMaskedOnesArePredicted) {
  const Mae model(tiny(false), 1);
  const at::Tensor pixels = at::randn({2, 3, 16, 24});
  const MaskPlan plan = plan_of({5, 1, 0, 2, 3, 4, 0, 3, 1, 2, 4, 5});
  const at::Tensor patches = patchify(reconstruction(model, pixels, plan), 8);
  const at::Tensor given = patchify(pixels, 8), pred = model.forward(pixels, plan).pred;
  const at::Tensor mask = mask_of(plan);
  for (int b = 0; b < 2; ++b)
    for (int p = 0; p < 6; ++p) {
      const at::Tensor& expected = mask[b][p].item<float>() == 0 ? given : pred;
      EXPECT_TRUE(patches[b][p].equal(expected[b][p])) << b << " " << p;
    }
}

// 1e-4: (x - mean) / deviation and back, in fp32.
TEST(Reconstruction, NormPixPredictionsGetThePatchesOwnStatistics) {
  const Mae model(tiny(true), 1);
  const at::Tensor pixels = at::randn({1, 3, 16, 24}).mul(3).add(5);
  const MaskPlan plan = plan_of({2, 4, 1, 0, 5, 3});
  const at::Tensor patches = patchify(reconstruction(model, pixels, plan), 8);
  const at::Tensor pred = model.forward(pixels, plan).pred, given = patchify(pixels, 8);
  const std::int64_t masked = plan.order[0][5].item<std::int64_t>();
  const at::Tensor patch = given[0][masked];
  const at::Tensor expected = pred[0][masked].mul(patch.var().add(1e-6).sqrt()).add(patch.mean());
  EXPECT_LT(patches[0][masked].sub(expected).abs().max().item<double>(), 1e-4);
}

}  // namespace
}  // namespace sgmae
