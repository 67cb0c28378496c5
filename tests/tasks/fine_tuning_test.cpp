// Oracle: AdamW's first step, which moves every value by the learning rate of its layer.
#include "sgmae/tasks/fine_tuning.h"

#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "sgmae/optim/layer_decay.h"
#include "sgmae/train/options.h"

namespace sgmae {
namespace {

TEST(FineTuningLearner, StepsByLayerAndSchedule) {
  std::vector<Parameter> parameters{{"blocks.0.attn.qkv.bias", at::zeros({3}), at::zeros({3})},
                                    {"head.bias", at::zeros({3}), at::zeros({3})}};
  flatten_gradients(parameters);
  OptimOptions optim;
  optim.lr = 0.5;
  optim.epochs = 10;
  optim.warmup_epochs = 2;
  optim.clip_grad = 3;
  int told = 0;
  const Learner learner = fine_tuning_learner(parameters, layer_decay_rules(parameters, 1, 0.25),
                                              optim, MemoryOptions(), at::kCPU, [&] { ++told; });
  EXPECT_EQ(learner.schedule.peak_lr, 0.5);
  EXPECT_EQ(learner.clip_grad, 3);
  for (Parameter& parameter : parameters) parameter.grad.fill_(1);
  learner.optimizer->step(0.5);
  learner.changed();
  EXPECT_EQ(told, 1);
  // Up to fp32's rounding of the bias corrections.
  EXPECT_NEAR(parameters[0].value[0].item<double>(), -0.5 * 0.25, 1e-5);
  EXPECT_NEAR(parameters[1].value[0].item<double>(), -0.5, 1e-5);
}

}  // namespace
}  // namespace sgmae
