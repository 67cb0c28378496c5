// Oracle: AdamW's first step, which moves every value by the learning rate of its layer.
#include "sgmae/tasks/fine_tuning.h"

#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "sgmae/optim/layer_decay.h"
#include "sgmae/train/options.h"
#include "tests/support/errors.h"

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

TEST(WeightsHash, IsOfNamesAndValuesAlone) {
  const at::Tensor ones = at::ones({2, 3}), zeros = at::zeros({4});
  const std::string hash = weights_hash({{"a", ones}, {"b", zeros}});
  EXPECT_EQ(weights_hash({{"b", zeros}, {"a", ones.to(at::kHalf)}}), hash);
  EXPECT_NE(weights_hash({{"a", ones}, {"c", zeros}}), hash);
  EXPECT_NE(weights_hash({{"a", ones}, {"b", at::ones({4})}}), hash);
}

TEST(SameStart, IsWhatTheStateSays) {
  check_same_start({{"start", "12"}}, "12", "mae");
  check_same_start({{"start", ""}}, "", "");
  check_same_start(nlohmann::json::object(), "12", "mae");  // an older state
  check_same_start(nullptr, "12", "mae");
  const auto refusal = [](const char* before, const char* now, const char* checkpoint) {
    return error_of(ExitCode::usage, [&] {
      check_same_start({{"start", before}}, now, checkpoint);
    });
  };
  EXPECT_EQ(refusal("12", "34", "mae"),
            "the training that is to go on began from other weights, but --checkpoint is mae; give "
            "what it began from, or choose another --output_dir to begin anew");
  EXPECT_NE(refusal("", "34", "mae").find("from scratch, but --checkpoint is mae"),
            std::string::npos);
  EXPECT_NE(refusal("12", "", "").find("from other weights, but --checkpoint is left out"),
            std::string::npos);
}

}  // namespace
}  // namespace sgmae
