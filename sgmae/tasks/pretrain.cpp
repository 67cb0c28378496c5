#include "sgmae/tasks/pretrain.h"

#include <utility>

#include "sgmae/base/counted.h"
#include "sgmae/base/host.h"
#include "sgmae/base/log.h"
#include "sgmae/base/signals.h"
#include "sgmae/checkpoint/describe.h"
#include "sgmae/checkpoint/initial_weights.h"
#include "sgmae/data/kept_source.h"
#include "sgmae/data/normalisation_file.h"
#include "sgmae/mask/self_guided.h"
#include "sgmae/nn/step_graph.h"
#include "sgmae/optim/adamw.h"
#include "sgmae/parallel/process_group.h"
#include "sgmae/tasks/expectation.h"
#include "sgmae/tasks/moco.h"
#include "sgmae/tasks/pretraining.h"
#include "sgmae/train/flops.h"

namespace sgmae {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
namespace fs = std::filesystem;

// The maps of a run that is carried on in another folder come along.
void bring_maps(const fs::path& from, const fs::path& to) {
  if (!fs::is_directory(from) || (fs::exists(to) && fs::equivalent(from, to))) return;
  fs::copy(from, to, fs::copy_options::skip_existing | fs::copy_options::recursive);
}

// A file of normalisation says how the images were read on which it was measured.
DataFormat format_of(const PretrainOptions& o) {
  return o.normalisation.empty() ? o.data_format
                                 : o.data_format.read_as(read_normalisation(o.normalisation));
}

// From another run's checkpoint, or with a run that was found fit when it began.
bool goes_on(const PretrainOptions& o) {
  return (o.resume != "auto" && o.resume != "none") || fs::exists(RunFolder{o.output_dir}.config());
}

// Which masks the run trains with, and from when: they may have `begun` already.
std::string masks_sentence(const PretrainOptions& o, std::optional<std::int64_t> begun) {
  const std::string& name = o.mask.strategy;
  if (name == "random")
    return "random, as MAE's; --mask_strategy self_guided has the model choose what to hide";
  const bool guided = name == "self_guided";
  const std::int64_t random = guided && begun ? *begun : o.mask.chosen().random_epochs(o.epochs);
  if (random >= o.epochs) return str(name, ", but the run ends before they begin: all are random");
  if (random > 0)
    return str("random for ", random, " of ", counted(o.epochs, "epoch"), ", then ", name);
  const bool waits = guided && !begun && o.mask.of<SelfGuidedOptions>().start(o.epochs).automatic;
  return waits ? "random until the exploitation rate says that the decoder uses mask tokens, then "
                 "self_guided"
               : str(name, ", from the start");
}

class PretrainTask : public TrainTask {
 public:
  explicit PretrainTask(const PretrainOptions& options)
      : options_(options),
        source_(keep_decoded(
            open_source(options_.data_path, "train", options_.data_root, format_of(options_)),
            options_, options_.epochs)),
        init_(read_init(options_)),
        model_(model_config(options_, source_->native_channels(), init_ ? &*init_ : nullptr),
               options_.seed),
        folder_{options_.output_dir} {
    if (init_) {
      begun_ = copy_initial_weights(*init_, model_);
      init_->tensors.clear();  // else a second model in memory for the whole run
    }
    place(model_, options_);
    model_.checkpoint_activations(options_.checkpoint_activations);
    steps_.emplace(model_, options_.cuda_graphs ? open_graphs(device()) : nullptr);
    loader_ = pretraining_loader(options_, model_.encoder(), *source_, init_ ? &*init_ : nullptr);
    learner_.parameters = &model_.parameters();
    learner_.optimizer = std::make_unique<AdamW>(
        model_.parameters(), AdamWOptions{.weight_decay = options_.weight_decay,
                                          .sharded = options_.shards_optimizer(device())});
    learner_.schedule = schedule(options_);
    learner_.clip_grad = options_.clip_grad;
    learner_.changed = [this] { steps_->parameters_changed(); };
    if (options_.probe_images > 0)
      probe_.emplace(model_, *source_, loader_, options_.probe_images, options_.mask.ratio,
                     options_.seed);
    strategy_ = options_.mask.chosen().make({.model = model_,
                                             .source = *source_,
                                             .loader = loader_,
                                             .folder = folder_,
                                             .mask_ratio = options_.mask.ratio,
                                             .epochs = options_.epochs,
                                             .seed = options_.seed,
                                             .optim = options_,
                                             .compute = options_,
                                             .trained = init_ || goes_on(options_),
                                             .trained_decoder = has_trained_decoder(),
                                             .probe = probe_ ? &*probe_ : nullptr});
  }

  std::vector<Learner*> learners() override {
    std::vector<Learner*> all{&learner_};
    for (Learner* own : strategy_->learners()) all.push_back(own);
    return all;
  }
  at::Device device() const override { return model_.encoder().device(); }
  const Source& training_images() const override { return *source_; }
  LoaderOptions training_loader() const override { return loader_; }

  at::Tensor forward_backward(Batch& batch, const StepPlace& place) override {
    const MaskPlan plan = strategy_->plan(batch, place.epoch);
    const DecoderInputReader reader = strategy_->decoder_input_reader(plan, place.loss_scale);
    at::Tensor dpixels;
    at::Tensor* const wanted = strategy_->wants_pixel_gradient() ? &dpixels : nullptr;
    const MaeLoss loss = wanted || place.ready || reader
                             ? model_.forward_backward(batch.pixels, plan, place.loss_scale, wanted,
                                                       place.ready, reader)
                             : steps_->forward_backward(batch.pixels, plan, place.loss_scale);
    strategy_->learn({batch, plan, loss.per_patch, dpixels, place.loss_scale});
    return loss.mean;
  }

  void after_step(const StepDone& step) override { strategy_->after_step(step); }
  EpochStart before_epoch(std::int64_t epoch) override { return strategy_->before_epoch(epoch); }
  ordered_json after_epoch(std::int64_t epoch) override {
    ordered_json entries = ordered_json::object();
    if (probe_) {
      probe_->measure(epoch);
      entries = probe_->log_entries();
    }
    entries.update(strategy_->after_epoch(epoch));
    return entries;
  }

  std::optional<EvaluationResult> evaluate(std::int64_t) override {
    return neighbours_.test(model_.encoder(), loader_.normalisation);
  }
  bool ends_with_evaluation() const override { return false; }

  ModelInfo info(const TrainClock& clock) const {
    json guide = strategy_->description();
    if (!guide.is_null()) guide.update(options_.mask.described());
    return {.mean = loader_.normalisation.mean,
            .std = loader_.normalisation.std,
            .epoch = clock.epoch,
            .step = clock.step,
            .version = "",
            .guide = guide,
            .position_mean = strategy_->position_mean(),
            .stored = loader_.normalisation.stored};
  }
  ModelView view(const ModelInfo& info) const {
    return {model_,
            info,
            options_,
            *source_,
            loader_,
            folder_,
            [this, epoch = info.epoch - 1](const Batch& batch) {
              return strategy_->plan(batch, epoch);
            }};
  }

  void save_model(const fs::path& path, const TrainClock& clock) const override {
    save_mae(path, model_, info(clock));
  }
  void load_model(const fs::path& path) override {
    load_weights(path, model_);
    bring_maps(path.parent_path().parent_path() / "maps", folder_.maps());
  }
  TaskState state() const override {
    TaskState strategy = strategy_->state();
    json own{{"mask_strategy", options_.mask.strategy}, {"strategy", strategy.json}};
    if (probe_) own["exploitation"] = probe_->state();
    return {own, std::move(strategy.tensors)};
  }
  // Runs of older versions kept both in one place.
  void restore(const json& state, const TensorFile& file) override {
    const bool older = state.contains("guidance");
    if (probe_)  // a run without one has no measurements
      probe_->restore(older ? state["guidance"].at("history")
                            : state.value("exploitation", json::array()));
    const std::string here = options_.mask.strategy, there = state.value("mask_strategy", here);
    const auto refuse = [&](const char* why) {
      fail(ExitCode::checkpoint, "the checkpoint was trained with mask_strategy ", there,
           " and holds nothing that ", here, " could go on from (", why, "); give --mask_strategy ",
           there, ", or begin anew with --resume none");
    };
    try {
      strategy_->restore(older ? state["guidance"] : state.at("strategy"), file);
    } catch (const Error& error) {
      if (there != here && error.code() == ExitCode::checkpoint) refuse(error.what());
      throw;
    } catch (const json::exception& error) {
      if (there != here) refuse(error.what());
      throw;
    }
  }
  bool needs_checkpoint(const CheckpointName& name) const override {
    return strategy_->needs_checkpoint(name);
  }
  void checkpoints_left(const std::vector<CheckpointName>& left) override {
    strategy_->checkpoints_left(left);
  }

  ordered_json facts() const override {
    const MaeConfig& c = model_.config();
    return {{"model", str(c.height, "x", c.width, "x", c.channels, " images, patch ", c.patch_size,
                          ", encoder ", c.encoder.dim, " x ", c.encoder.depth, ", decoder ",
                          c.decoder.dim, " x ", c.decoder.depth, ", ",
                          millions(value_count(model_.parameters())), " parameters",
                          own_values() > 0 ? str(", and ", millions(own_values()), " that make ",
                                                 options_.mask.strategy, " masks")
                                           : std::string(),
                          init_ ? ", " : "", begun_.said)},
            {"data", str(source_->size(), " images")},
            {"training", compute_name(model_.encoder())},
            {"precision", name_of(model_.encoder().precision())},
            {"masks", masks_sentence(options_, strategy_->guide_start())},
            {"mask_parameters", own_values()}};
  }
  double flop_per_image() const override {
    const PatchCounts counts = patch_counts(model_.config().n_patches(), options_.mask.ratio,
                                            options_.mask.thrown_ratio());
    return training_flop_per_image(model_.config(), counts.visible, counts.thrown);
  }

  const MaskStrategy& strategy() const { return *strategy_; }
  std::optional<double> pixels_acc1() const { return neighbours_.pixels_acc1(); }

  std::string expectation(const TrainClock& clock) override {
    EstimateInput in = estimate_input(options_, model_.config(), source_->size(), here(device()));
    in.kept_bytes = kept_bytes(*source_);
    const double needed = estimate_memory(in).sum();
    if (!in.on_cpu || needed < static_cast<double>(host_memory().available))
      in.speed = measure_pass(model_, in);
    return sgmae::expectation(in, clock);
  }

 private:
  bool has_trained_decoder() const { return goes_on(options_) || begun_.decoder; }
  // Trained by the strategy's own learners.
  std::int64_t own_values() const {
    std::int64_t count = 0;
    for (const Learner* own : strategy_->learners()) count += value_count(*own->parameters);
    return count;
  }

  PretrainOptions options_;
  std::unique_ptr<Source> source_;
  std::optional<ModelFile> init_;
  InitialWeights begun_;  // from init_
  Mae model_;
  std::optional<StepGraph> steps_;
  RunFolder folder_;
  LoaderOptions loader_;
  Learner learner_;
  std::optional<ExploitationProbe> probe_;
  std::unique_ptr<MaskStrategy> strategy_;
  NeighbourTest neighbours_{options_};
};

PretrainResult pretrain_mae(const PretrainOptions& options, const PretrainHooks& hooks) {
  PretrainTask task(options);
  EngineHooks engine_hooks{.save_after = hooks.save_after, .after_step = hooks.after_step};
  if (hooks.after_save)
    engine_hooks.after_save = [&](const fs::path& path, const TrainClock& clock) {
      hooks.after_save(task.view(task.info(clock)), path);
    };
  PretrainResult result = run_pretraining(task, options, engine_hooks);
  const MaskStrategy& strategy = task.strategy();
  if (!strategy.description().is_null() && !strategy.guide_start())  // it was to be guided
    warn("guidance never began: all masks of this run were random");
  result.guide_start = strategy.guide_start();
  result.guide_reason = strategy.guide_reason();
  result.knn_acc1_pixels = task.pixels_acc1();
  return result;
}

}  // namespace

PretrainResult pretrain(const PretrainOptions& given, const PretrainHooks& hooks) {
  given.check();
  const PretrainOptions options = settled(given);
  use_threads(options.threads);
  const StopSignals signals;
  return options.method == PretrainMethod::moco_v3 ? pretrain_moco(options, hooks)
                                                   : pretrain_mae(options, hooks);
}

ordered_json to_json(const PretrainResult& result) {
  ordered_json j{{"folder", result.folder.string()},    {"checkpoint", result.checkpoint.string()},
                 {"train_loss", result.train_loss},     {"guide_start", nullptr},
                 {"guide_reason", result.guide_reason}, {"skipped_steps", result.skipped_steps},
                 {"rollbacks", result.rollbacks},       {"img_per_s", result.images_per_second},
                 {"data_wait_frac", result.data_wait}};
  if (result.guide_start) j["guide_start"] = *result.guide_start;
  if (result.knn_acc1_before) j["knn_acc1_before"] = *result.knn_acc1_before;
  if (result.knn_acc1) j["knn_acc1"] = *result.knn_acc1;
  if (result.knn_acc1_pixels) j["knn_acc1_pixels"] = *result.knn_acc1_pixels;
  return j;
}

}  // namespace sgmae
