#include "sgmae/tasks/moco.h"

#include "sgmae/checkpoint/describe.h"
#include "sgmae/contrast/moco.h"
#include "sgmae/data/kept_source.h"
#include "sgmae/optim/adamw.h"
#include "sgmae/optim/ema.h"
#include "sgmae/tasks/pretraining.h"
#include "sgmae/tasks/training_estimate.h"
#include "sgmae/train/epoch_means.h"
#include "sgmae/train/flops.h"

namespace sgmae {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
namespace fs = std::filesystem;

class MocoTask : public TrainTask {
 public:
  explicit MocoTask(const PretrainOptions& options)
      : options_(options),
        source_(keep_decoded(
            open_source(options.data_path, "train", options.data_root, options.data_format),
            options, options.epochs)),
        model_(moco_config(options, source_->native_channels()), options.seed),
        steps_per_epoch_(whole_steps(source_->size(), options)),
        neighbours_(options) {
    check(!source_->stored_values(), ExitCode::usage, options.data_path,
          " has values as stored, and moco_v3 learns from changed colours of 8-bit photos; use "
          "--method mae");
    check(options.normalisation.empty(), ExitCode::usage,
          "normalisation is of --method mae; leave it out");
    place(model_, options);
    model_.checkpoint_activations(options.checkpoint_activations);
    learner_.parameters = &model_.parameters();
    // Nothing is exempt from weight decay.
    learner_.optimizer =
        std::make_unique<AdamW>(model_.parameters(),
                                AdamWOptions{.beta2 = 0.999,
                                             .weight_decay = options.weight_decay,
                                             .sharded = options.shards_optimizer(device())},
                                std::vector<ParameterRule>(model_.parameters().size()));
    learner_.schedule = schedule(options);
    learner_.clip_grad = options.clip_grad;
    learner_.changed = [this] { model_.parameters_changed(); };
  }

  std::vector<Learner*> learners() override { return {&learner_}; }
  at::Device device() const override { return model_.encoder().device(); }
  const Source& training_images() const override { return *source_; }
  LoaderOptions training_loader() const override {
    LoaderOptions loader = pretraining_loader(options_, model_.encoder(), *source_);
    loader.augment.min_scale = options_.moco.crop_min;
    TwoViews& views = loader.two_views.emplace();
    views.first.blur_max = views.second.blur_max = options_.moco.blur_max;
    return loader;
  }

  at::Tensor forward_backward(Batch& batch, const StepPlace& place) override {
    const MocoLoss loss =
        model_.forward_backward(batch.pixels, batch.second_view, place.loss_scale, place.ready);
    told_.add(place.epoch, {loss.right});
    return loss.mean;
  }
  bool passes_are_collective() const override { return true; }

  // The published program moves the key network at the beginning of a step, by the momentum of that
  // step. This is the same.
  void after_step(const StepDone& step) override {
    if (!step.applied) return;
    const double epoch = static_cast<double>(step.epoch) +
                         static_cast<double>(step.step) / static_cast<double>(steps_per_epoch_);
    model_.follow(
        rising_momentum(options_.moco.momentum, epoch / static_cast<double>(options_.epochs)));
  }
  ordered_json after_epoch(std::int64_t) override { return told_.means(); }

  std::optional<EvaluationResult> evaluate(std::int64_t) override {
    return neighbours_.test(model_.encoder(), training_loader().normalisation);
  }
  bool ends_with_evaluation() const override { return false; }

  void save_model(const fs::path& path, const TrainClock& clock) const override {
    const Normalisation normalisation = training_loader().normalisation;
    ModelInfo info;
    info.use(normalisation);
    info.epoch = clock.epoch, info.step = clock.step;
    save_tensors(path, values_of(model_.encoder_parameters()), to_json(model_.config().encoder),
                 info);
  }
  // The heads stay as they are, and the key network begins as the query network.
  void load_model(const fs::path& path) override {
    std::vector<Parameter> encoder = model_.encoder_parameters();
    copy_weights(read_model_file(path), encoder);
    model_.parameters_changed();
    model_.follow(0);
  }
  TaskState state() const override {
    return {{{"told", told_.state()}}, values_of(model_.other_parameters())};
  }
  void restore(const json& state, const TensorFile& file) override {
    std::vector<Parameter> others = model_.other_parameters();
    load_values(file, others);
    model_.parameters_changed();
    told_.restore(state.at("told"), device());
  }

  ordered_json facts() const override {
    const MocoConfig& c = model_.config();
    const VitConfig& vit = c.encoder;
    return {
        {"model",
         str("MoCo v3 on ", vit.height, "x", vit.width, "x", vit.channels, " images, patch ",
             vit.patch_size, ", encoder ", vit.size.dim, " x ", vit.size.depth, ", heads ",
             c.hidden, " and ", c.features, ", ",
             millions(value_count(model_.encoder_parameters())), " + ",
             millions(value_count(*learner_.parameters) - value_count(model_.encoder_parameters())),
             " parameters, patch projection ", c.frozen_patches ? "frozen" : "trained")},
        {"data", str(source_->size(), " images")},
        {"training", str(compute_name(model_.encoder()), ", negatives from ",
                         options_.batch_size * processes().size(), " images")},
        {"precision", name_of(model_.encoder().precision())},
        {"method", "moco_v3"}};
  }
  // Forward and backward of two views, and the key network's forward; heads are a thousandth.
  double flop_per_image() const override {
    return (2 + 2.0 / 3) * training_flop_per_image(model_.config().encoder);
  }
  std::string expectation(const TrainClock&) override {
    return expected_training_memory(model_.config(), options_, options_.num_workers, device());
  }

  std::optional<double> pixels_acc1() const { return neighbours_.pixels_acc1(); }

 private:
  const PretrainOptions& options_;
  std::unique_ptr<Source> source_;
  Moco model_;
  std::int64_t steps_per_epoch_;
  Learner learner_;
  NeighbourTest neighbours_;
  EpochMeans told_{{"moco_acc1"}};
};

}  // namespace

MocoConfig moco_config(const PretrainOptions& o, std::int64_t data_channels) {
  return {.encoder = encoder_config(model_config(o, data_channels)),
          .hidden = o.moco.mlp_dim,
          .features = o.moco.dim,
          .temperature = o.moco.temperature,
          .frozen_patches = o.moco.stop_grad_conv1};
}

PretrainResult pretrain_moco(const PretrainOptions& options, const PretrainHooks& hooks) {
  MocoTask task(options);
  PretrainResult result = run_pretraining(
      task, options, {.save_after = hooks.save_after, .after_step = hooks.after_step});
  result.knn_acc1_pixels = task.pixels_acc1();
  return result;
}

}  // namespace sgmae
