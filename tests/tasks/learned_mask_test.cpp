// A masking strategy with a trained network of its own, in one file: it hides the patches whose
// loss it expects to be high. Oracle for resuming: the unbroken run.
#include <ATen/ops/arange.h>
#include <ATen/ops/argsort.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <csignal>
#include <limits>

#include "sgmae/base/log.h"
#include "sgmae/mask/registry.h"
#include "sgmae/optim/adamw.h"
#include "sgmae/optim/ema.h"
#include "sgmae/tasks/pretrain.h"
#include "tests/support/log_lines.h"
#include "tests/support/temporary_folder.h"
#include "tests/tasks/same_bits.h"
#include "tests/tasks/tiny_run.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

// The mean of every patch, [B, N], of grey images.
at::Tensor patch_means(const at::Tensor& pixels) {
  const std::int64_t batch = pixels.size(0), rows = tiny::side / 4;
  return pixels.view({batch, rows, 4, rows, 4}).mean({2, 4}).view({batch, rows * rows});
}

// Expected loss of a patch = weight * mean + bias, learned by least squares; masks come from its
// moving average.
class HardPatches : public MaskStrategy {
 public:
  HardPatches(const MaskContext& context, double momentum)
      : n_visible_(visible_count(context.model.config().n_patches(), context.mask_ratio)),
        momentum_(momentum),
        parameters_(make_parameters()),
        teacher_(parameters_) {
    learner_.name = "masker";
    learner_.parameters = &parameters_;
    learner_.optimizer = std::make_unique<AdamW>(parameters_, AdamWOptions{.weight_decay = 0});
    learner_.schedule = {.peak_lr = 0.05, .warmup_epochs = 0, .epochs = 4};
  }

  MaskPlan plan(const Batch& batch, std::int64_t) override {
    const at::Tensor expected = patch_means(batch.pixels).mul(teacher_.values()[0].second);
    return {at::argsort(expected, /*stable=*/true, /*dim=*/1, /*descending=*/false), n_visible_};
  }

  bool wants_pixel_gradient() const override { return true; }

  void learn(const MaskFeedback& went) override {
    const std::int64_t masked = went.plan.order.size(1) - went.plan.n_visible;
    const at::Tensor means = patch_means(went.batch.pixels)
                                 .gather(1, went.plan.order.narrow(1, went.plan.n_visible, masked));
    const at::Tensor error =
        means.mul(parameters_[0].value).add(parameters_[1].value).sub(went.patch_loss.cpu());
    const double scale = 2 * went.loss_scale / static_cast<double>(error.numel());
    parameters_[0].grad.add_(error.mul(means).sum().mul(scale));
    parameters_[1].grad.add_(error.sum().mul(scale));
    EXPECT_EQ(went.dpixels.sizes(), went.batch.pixels.sizes());
    slope_ = went.dpixels.abs().mean().item<double>();
  }
  std::vector<Learner*> learners() override { return {&learner_}; }
  void after_step(const StepDone& step) override {
    if (step.applied) teacher_.update(parameters_, momentum_);
  }
  nlohmann::ordered_json after_epoch(std::int64_t) override {
    return {{"mask_weight", parameters_[0].value.item<double>()}, {"mask_slope", slope_}};
  }

  TaskState state() const override {
    NamedTensors tensors = teacher_.state();
    for (const Parameter& parameter : parameters_)
      tensors.emplace_back(parameter.name, parameter.value);
    return {{{"slope", slope_}}, tensors};
  }
  void restore(const nlohmann::json& state, const TensorFile& file) override {
    slope_ = state.at("slope");
    teacher_.load(file);
    for (Parameter& parameter : parameters_) {
      const at::Tensor* stored = file.find(parameter.name);
      check(stored, ExitCode::checkpoint, "no tensor '", parameter.name, "'");
      parameter.value.copy_(*stored);
    }
  }

 private:
  static std::vector<Parameter> make_parameters() {
    std::vector<Parameter> made{{"masker.weight", at::zeros({1}), at::zeros({1})},
                                {"masker.bias", at::zeros({1}), at::zeros({1})}};
    flatten_gradients(made);
    return made;
  }

  std::int64_t n_visible_;
  double momentum_, slope_ = 0;
  std::vector<Parameter> parameters_;
  Ema teacher_;
  Learner learner_;
};

struct HardPatchesOptions : MaskStrategyOptions {
  double momentum = 0.5;

  std::unique_ptr<MaskStrategyOptions> clone() const override {
    return std::make_unique<HardPatchesOptions>(*this);
  }
  void declare(Options& o) override { o.add("teacher_momentum", momentum, "of the average"); }
  std::int64_t random_epochs(std::int64_t) const override { return 0; }
  std::unique_ptr<MaskStrategy> make(const MaskContext& context) const override {
    return std::make_unique<HardPatches>(context, momentum);
  }
};

class LearnedMask : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    add_mask_strategy({"hard_patches", "what is expected to be hard", [] {
                         return std::unique_ptr<MaskStrategyOptions>(
                             std::make_unique<HardPatchesOptions>());
                       }});
  }
  void SetUp() override {
    set_log_quiet(true);
    tiny::write_images(root_ / "data");
  }

  PretrainOptions options(const std::string& run) const {
    PretrainOptions o = tiny::options(root_ / "data", root_ / run);
    o.mask.strategy = "hard_patches";
    return o;
  }
  const TemporaryFolder temporary_;
  const fs::path root_ = temporary_.root();
};

TEST_F(LearnedMask, ItsNetworkLearnsBesideTheModelAndResumesBitForBit) {
  pretrain(options("unbroken"));
  const auto lines = log_lines(root_ / "unbroken");
  EXPECT_NE(lines[0].at("mask_weight"), 0.0);
  EXPECT_NE(lines[1].at("mask_weight"), lines[0].at("mask_weight"));
  EXPECT_GT(lines[0].at("mask_slope"), 0.0);
  EXPECT_NE(read_text(root_ / "unbroken/config.toml").find("teacher_momentum = 0.5"),
            std::string::npos);
  std::set<std::string> names;
  for (const auto& [name, tensor] : newest_state(root_ / "unbroken")) names.insert(name);
  for (const char* name : {"masker.weight", "ema.masker.weight", "masker.exp_avg.masker.weight",
                           "masker.adamw.step", "adamw.step"})
    EXPECT_TRUE(names.count(name)) << name;

  PretrainHooks stop;
  stop.after_step = [](const StepDone& step) {
    if (step.epoch == 2 && step.step == 3) std::raise(SIGINT);
  };
  EXPECT_THROW(pretrain(options("stopped"), stop), Error);
  pretrain(options("stopped"));
  expect_same_bits(root_ / "unbroken", root_ / "stopped");
}

TEST_F(LearnedMask, ItIsRolledBackWithTheRun) {
  PretrainOptions o = options("run");
  o.save_every = 1;
  o.batch_size = 4;  // enough steps for eight bad ones in a row
  const Mae* model = nullptr;
  bool spoiled = false;
  double weight_saved = 0;
  PretrainHooks hooks;
  hooks.after_save = [&](const ModelView& view, const fs::path&) {
    model = &view.model;
    if (!spoiled)
      for (const auto& [name, tensor] : newest_state(root_ / "run"))
        if (name == "masker.weight") weight_saved = tensor.item<double>();
  };
  hooks.after_step = [&](const StepDone& step) {
    if (step.epoch == 2 && step.step == 3 && !std::exchange(spoiled, true))
      model->parameters().front().value.fill_(std::numeric_limits<float>::quiet_NaN());
  };
  const PretrainResult result = pretrain(o, hooks);
  EXPECT_EQ(result.rollbacks, 1);
  for (const auto& line : log_lines(root_ / "run"))
    EXPECT_TRUE(std::isfinite(line.at("mask_weight").get<double>())) << line;
  EXPECT_NE(weight_saved, 0);
}

}  // namespace
}  // namespace sgmae
