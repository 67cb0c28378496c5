// A small model, its context and batches, for strategies that own a network.
#pragma once

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "sgmae/mask/strategy.h"
#include "sgmae/optim/groups.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensors.h"
#include "tests/tasks/tiny_run.h"

namespace sgmae {

// 16 patches, 4 of them visible.
class NetworkMask : public ::testing::Test {
 protected:
  NetworkMask() {
    tiny::write_images(folder_ / "data");
    run_ = tiny::options(folder_ / "data", folder_ / "run");
    source_ = open_source(run_.data_path);
    model_ = std::make_unique<Mae>(model_config(run_, 1), 1);
  }

  MaskContext context() const {
    return {.model = *model_,
            .source = *source_,
            .loader = {},
            .folder = {run_.output_dir},
            .mask_ratio = 0.75,
            .epochs = 4,
            .seed = 3,
            .optim = run_,
            .compute = run_};
  }

  // Images at these positions, of noise, each its own.
  static Batch batch(const std::vector<std::int64_t>& index) {
    Batch made;
    made.index = index;
    made.pixels = at::empty({made.size(), 1, tiny::side, tiny::side});
    for (std::int64_t i = 0; i < made.size(); ++i)
      made.pixels[i].copy_(noise({1, tiny::side, tiny::side}, 100 + index[i]));
    return made;
  }

  // One batch as PretrainTask would take it; the model's gradients are dropped.
  MaskFeedback step(MaskStrategy& strategy, const Batch& batch, std::int64_t epoch) {
    plan_ = strategy.plan(batch, epoch);
    at::Tensor dpixels;
    const MaeLoss loss = model_->forward_backward(batch.pixels, plan_, 0.5, &dpixels);
    zero_gradients(model_->parameters());
    const MaskFeedback went{batch, plan_, loss.per_patch, dpixels, 0.5};
    strategy.learn(went);
    return went;
  }

  // The gradients after one such step, by name.
  static std::map<std::string, at::Tensor> gradients(const std::vector<Parameter>& parameters) {
    std::map<std::string, at::Tensor> all;
    for (const Parameter& parameter : parameters)
      if (parameter.trained()) all[parameter.name] = parameter.grad.clone();
    return all;
  }

  // The learner's parameters in float64, recorded by autograd.
  static std::map<std::string, at::Tensor> exact(const std::vector<Parameter>& parameters) {
    std::map<std::string, at::Tensor> all;
    for (const Parameter& parameter : parameters)
      all[parameter.name] = parameter.value.to(at::kDouble).requires_grad_();
    return all;
  }
  static void expect_gradients(const std::map<std::string, at::Tensor>& exact,
                               const std::vector<Parameter>& parameters, double tolerance) {
    for (const Parameter& parameter : parameters) {
      const at::Tensor& wanted = exact.at(parameter.name).grad();
      ASSERT_TRUE(wanted.defined()) << parameter.name;
      EXPECT_GT(wanted.abs().max().item<double>(), 0) << parameter.name;
      EXPECT_LT(relative_error(parameter.grad, wanted), tolerance) << parameter.name;
    }
  }

  // Counts, permutations, and draws that are each image's own.
  static void expect_keyed_plans(MaskStrategy& strategy) {
    const MaskPlan a = strategy.plan(batch({5, 9}), 1), b = strategy.plan(batch({9, 7, 5}), 1);
    EXPECT_EQ(a.n_visible, 4);
    EXPECT_EQ(a.n_thrown, 0);
    EXPECT_TRUE(std::get<0>(b.order.sort(1)).equal(at::arange(16, at::kLong).expand({3, 16})));
    EXPECT_TRUE(mask_of(a)[0].equal(mask_of(b)[2]));
    EXPECT_TRUE(mask_of(a)[1].equal(mask_of(b)[0]));
  }

  // `taught` has learned; `fresh` is then told its state.
  static void expect_restored(MaskStrategy& taught, MaskStrategy& fresh) {
    const Batch images = batch({1, 2, 3, 4, 5, 6, 7, 8});
    TaskState state = taught.state();
    TensorFile file;
    file.tensors = state.tensors;
    fresh.restore(nlohmann::json::parse(state.json.dump()), file);
    EXPECT_TRUE(fresh.plan(images, 2).order.equal(taught.plan(images, 2).order));
    EXPECT_EQ(fresh.after_epoch(1).dump(), taught.after_epoch(1).dump());
  }

  // What check() says of an option with that value.
  template <class O>
  static std::string refused(const std::string& name, const std::string& value) {
    O options;
    Options declared;
    options.declare(declared);
    declared.set(name, value, name);
    return error_of(ExitCode::usage, [&] { options.check(false); });
  }

  const TemporaryFolder temporary_;
  const std::filesystem::path folder_ = temporary_.root();
  PretrainOptions run_;
  std::unique_ptr<Source> source_;
  std::unique_ptr<Mae> model_;
  MaskPlan plan_;
};

}  // namespace sgmae
