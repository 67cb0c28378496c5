// The smallest thing that can be trained: one number, which is to become the mean brightness of a
// folder's images.
#pragma once

#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros.h>

#include <functional>

#include "sgmae/optim/adamw.h"
#include "sgmae/train/engine.h"

namespace sgmae {

struct ToyOptions : OptimOptions, RunOptions {
  ToyOptions() {
    batch_size = 4;
    epochs = 3;
    warmup_epochs = 0;
    lr = 0.1;
    weight_decay = 0;
  }
  void declare(Options& o) {
    OptimOptions::declare(o, "of AdamW");
    RunOptions::declare(o, "eval_every", "epochs between evaluations");
  }
};

inline const RunKind toy{"toy", "toy", "[optim]", {"checkpoints", "figures"}};

class ToyTask : public TrainTask {
 public:
  ToyTask(const Source& source, const ToyOptions& options) : source_(source), options_(options) {
    parameters_.push_back({"w", at::zeros({1}), at::zeros({1})});
    learner_.parameters = &parameters_;
    learner_.optimizer = std::make_unique<AdamW>(parameters_, AdamWOptions{.weight_decay = 0});
    learner_.schedule = schedule(options);
    learner_.clip_grad = options.clip_grad;
  }

  double value() const { return parameters_[0].value.item<double>(); }
  void set_value(double value) { parameters_[0].value.fill_(value); }

  std::vector<Learner*> learners() override { return {&learner_}; }
  at::Device device() const override { return at::kCPU; }
  const Source& training_images() const override { return source_; }
  LoaderOptions training_loader() const override {
    LoaderOptions loader;
    loader.batch_size = options_.batch_size;
    loader.num_workers = 0;
    loader.height = loader.width = 16;
    loader.channels = 1;
    return loader;
  }
  // (w - mean)^2
  at::Tensor forward_backward(Batch& batch, const StepPlace& place) override {
    places.push_back(place);
    const double error = value() - batch.pixels.mean().item<double>();
    parameters_[0].grad.add_(2 * error * place.loss_scale);
    const double loss = spoil && spoil(place) ? NAN : error * error;
    return at::scalar_tensor(loss, at::kDouble);
  }
  std::optional<EvaluationResult> evaluate(std::int64_t epochs) override {
    evaluated.push_back(epochs);
    if (on_evaluate) on_evaluate(epochs);
    return EvaluationResult{
        .headline = "closeness", .value = 1 / (1 + value() * value()), .entries = {{"test_x", 1}}};
  }
  bool ends_with_evaluation() const override { return true; }
  void save_model(const std::filesystem::path& path, const TrainClock&) const override {
    write_safetensors(path, {{"w", parameters_[0].value}});
  }
  void load_model(const std::filesystem::path& path) override {
    parameters_[0].value.copy_(*read_safetensors(path).find("w"));
  }
  TaskState state() const override { return {{{"word", "toy"}}, {{"w", parameters_[0].value}}}; }
  void restore(const nlohmann::json& json, const TensorFile& file) override {
    check(json.at("word") == "toy", ExitCode::checkpoint, "of another task");
    parameters_[0].value.copy_(*file.find("w"));
  }
  nlohmann::ordered_json facts() const override {
    return {
        {"model", "one number"}, {"data", "images"}, {"training", "AdamW"}, {"precision", "fp32"}};
  }
  double flop_per_image() const override { return 1; }

  std::vector<StepPlace> places;
  std::vector<std::int64_t> evaluated;
  std::function<bool(const StepPlace&)> spoil;
  std::function<void(std::int64_t)> on_evaluate;

 private:
  const Source& source_;
  const ToyOptions options_;
  std::vector<Parameter> parameters_;
  Learner learner_;
};

}  // namespace sgmae
