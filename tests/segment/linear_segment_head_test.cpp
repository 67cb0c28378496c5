// Oracle: the definition, in double.
#include "sgmae/segment/linear_segment_head.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/conv2d.h>
#include <gtest/gtest.h>

#include "tests/support/tensors.h"

namespace sgmae {
namespace {

TEST(LinearSegmentHead, NormalisesFeaturesSideBySideAndWeighsThem) {
  const at::NoGradGuard by_running_statistics;
  SegmenterConfig c;
  c.backbone.size = {4, 6, 2};
  c.taps = {2, 5};
  c.classes = 3;
  std::vector<Parameter> parameters;
  parameters.reserve(4);
  std::deque<RunningStatistics> running;
  Initialiser init(parameters, 7);
  const LinearSegmentHead head(c, LayerMaker(init, &running));
  ASSERT_EQ(running.size(), 1u);
  running[0].mean.copy_(noise({8}, 1));
  running[0].var.copy_(noise({8}, 2).square().add_(0.5));
  const at::Tensor one = noise({2, 4, 3, 5}, 3), two = noise({2, 4, 3, 5}, 4);
  const auto channel = [](const at::Tensor& x) { return x.to(at::kDouble).view({1, 8, 1, 1}); };
  const at::Tensor normed = at::cat({one, two}, 1)
                                .to(at::kDouble)
                                .sub(channel(running[0].mean))
                                .div(channel(running[0].var).add(1e-5).sqrt());
  const at::Tensor expected =
      at::conv2d(normed, parameters[0].value.to(at::kDouble), parameters[1].value.to(at::kDouble));
  EXPECT_LT(relative_error(head.logits({one, two}, at::kFloat), expected), 1e-6);
}

}  // namespace
}  // namespace sgmae
