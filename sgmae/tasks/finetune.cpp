#include "sgmae/tasks/finetune.h"

#include <memory>
#include <optional>
#include <utility>

#include "sgmae/base/log.h"
#include "sgmae/base/signals.h"
#include "sgmae/data/kept_source.h"
#include "sgmae/data/mixup.h"
#include "sgmae/data/normalisation_file.h"
#include "sgmae/eval/classifier_file.h"
#include "sgmae/nn/drop_path.h"
#include "sgmae/optim/layer_decay.h"
#include "sgmae/tasks/fine_tuning.h"
#include "sgmae/tasks/settle.h"
#include "sgmae/tasks/training_estimate.h"
#include "sgmae/train/checkpoint.h"
#include "sgmae/train/flops.h"

namespace sgmae {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
namespace fs = std::filesystem;

const RunKind fine_tuning{"finetune", "fine-tuning", "[augment]", {"figures"}};

TestResult test_model(const Vit& model, const FinetuneOptions& options, const Source& source,
                      const Normalisation& normalisation) {
  return test_classifier(
      source,
      evaluation_loader(options.data, source, model.config(), normalisation, options.batch_size),
      model.config().classes, [&](const Batch& batch) { return model.logits(batch.pixels); });
}

ordered_json summary(const FinetuneOptions& options) {
  ordered_json j{{"checkpoint", options.checkpoint}};
  if (options.checkpoint.empty()) j["checkpoint"] = nullptr;
  return j;
}

class FinetuneTask : public ClassifierTask {
 public:
  FinetuneTask(const FinetuneOptions& options, const std::optional<Pretrained>& start,
               const LabelledSources& sources)
      : ClassifierTask(sources),
        options_(options),
        mix_{.mixup = options.mixup,
             .cutmix = options.cutmix,
             .probability = options.mixup_prob,
             .switch_to_cutmix = options.mixup_switch_prob,
             .smoothing = options.smoothing},
        model_(classifier_config(options, start, sources.train->native_channels(), sources.classes),
               options.seed),
        normalisation_(start ? start->normalisation
                             : own_normalisation(*sources.train,
                                                 static_cast<int>(model_.config().channels),
                                                 options.data.num_workers)) {
    place(model_, options);
    model_.checkpoint_activations(options.checkpoint_activations);
    learner_ = fine_tuning_learner(
        model_.parameters(),
        layer_decay_rules(model_.parameters(), model_.config().size.depth, options.layer_decay),
        options, options, device(), [this] { model_.parameters_changed(); });
    if (!start) return;
    load_pretrained(*start, model_);
    start_hash_ = weights_hash(start->tensors);
  }

  std::vector<Learner*> learners() override { return {&learner_}; }
  at::Device device() const override { return model_.encoder().device(); }
  const Vit& model() const { return model_; }

  LoaderOptions training_loader() const override {
    LoaderOptions loader = plain_loader(options_, model_.config(), normalisation_);
    loader.augment.min_scale = options_.crop_min;
    loader.augment.flip = options_.flip ? 0.5 : 0;
    loader.rand_augment = parse_rand_augment(options_.aa);
    loader.random_erase.probability = options_.reprob;
    return loader;
  }

  at::Tensor forward_backward(Batch& batch, const StepPlace& place) override {
    const auto epoch = static_cast<std::uint64_t>(place.epoch);
    Rng rng(place.seed, epoch, static_cast<std::uint64_t>(place.batch), Purpose::mix);
    const double lambda = apply_mix(draw_mix(rng, mix_), batch.pixels);
    const VitConfig& config = model_.config();
    VitTrace trace;
    trace.encoder.gradients_ready = place.ready;
    trace.encoder.drop_path = draw_drop_path(place.seed, epoch, batch.index, config.size.depth,
                                             options_.drop_path, device());
    const at::Tensor scores = model_.forward(batch.pixels, trace);
    at::Tensor dscores;
    const at::Tensor targets =
        send(soft_targets(batch.label, config.classes, lambda, mix_.smoothing), device());
    const at::Tensor loss = soft_cross_entropy(scores, targets, place.loss_scale, &dscores);
    model_.backward(dscores, trace);
    return loss;
  }

  void save_model(const fs::path& path, const TrainClock& clock) const override {
    save_classifier(path, model_, normalisation_, clock.epoch, sources_.class_names);
  }
  TaskState state() const override {
    return {{{"start", start_hash_}}, values_of(model_.parameters())};
  }
  void restore(const json& state, const TensorFile& file) override {
    check_same_start(state, start_hash_, options_.checkpoint);
    load_values(file, model_.parameters());
  }

  ordered_json facts() const override {
    const VitConfig& c = model_.config();
    return {
        {"model", str(c.height, "x", c.width, "x", c.channels, " images, patch ", c.patch_size,
                      ", ", c.size.dim, " x ", c.size.depth, ", ", c.classes, " classes from ",
                      c.pooling == Pooling::mean ? "the patches' mean" : "the class token", ", ",
                      fixed(static_cast<double>(value_count(model_.parameters())) * 1e-6, 2),
                      " M parameters, begun from ",
                      options_.checkpoint.empty() ? "scratch" : options_.checkpoint)},
        {"data", data_sentence()},
        {"training", str(compute_name(model_.encoder()), ", layer decay ", options_.layer_decay)},
        {"precision", name_of(model_.encoder().precision())},
        {"test_images", sources_.test->size()}};
  }
  double flop_per_image() const override { return training_flop_per_image(model_.config()); }
  std::string expectation(const TrainClock&) override {
    return expected_training_memory(model_.config(), options_, options_.data.num_workers, device());
  }

 protected:
  TestResult test() const override {
    return test_model(model_, options_, *sources_.test, normalisation_);
  }

 private:
  const FinetuneOptions& options_;
  MixOptions mix_;
  Vit model_;
  Normalisation normalisation_;
  std::string start_hash_;  // weights_hash
  Learner learner_;
};

// The classifier that `checkpoint` holds, tested.
ordered_json evaluate_only(const FinetuneOptions& options, const Pretrained& file) {
  check(file.config.classes > 0, ExitCode::checkpoint, file.path.string(),
        ": contains no classifier; give a run of fine-tuning");
  const LabelledSources sources =
      open_test_images(options.data.read_as(file.normalisation),
                       {file.path, file.config.classes, file.class_names}, options.nb_classes);
  VitConfig config = file.config;
  if (options.input_size > 0) config.height = config.width = options.input_size;
  check_config(config);
  Vit model(config, 0);
  load_pretrained(file, model);
  place(model, options);
  try {
    const TestResult test = test_model(model, options, *sources.test, file.normalisation);
    ordered_json result = summary(options);
    result.update(score_entries(sources, test));
    return report_test(options.output_dir, result, test, sources);
  } catch (const StopRequested&) {
    fail(ExitCode::interrupted, nothing_written);
  }
}

}  // namespace

VitConfig classifier_config(const FinetuneOptions& o, const std::optional<Pretrained>& start,
                            std::int64_t channels, std::int64_t classes) {
  VitConfig config =
      chosen_encoder({o.model, o.patch_size, o.dim, o.depth, o.open.heads}, start, channels);
  if (o.input_size > 0) config.height = config.width = o.input_size;
  config.pooling = o.global_pool && !o.cls_token ? Pooling::mean : Pooling::cls;
  config.classes = classes;
  config.batch_norm_head = false;  // of a linear probe, whose head is not used
  check_config(config);
  return config;
}

FinetuneOptions::FinetuneOptions() {
  epochs = 50;
  usual_epochs = 50, usual_warmup = 5;
  min_lr = 1e-6;
}

void FinetuneOptions::declare(Options& o) {
  o.section("model");
  declare_checkpoint(
      o, "run folder or model file to begin from, or to test with --eval; empty: from scratch");
  o.add("model", model,
        "vit_{tiny,small,base,large,huge}_patchN; empty: the checkpoint's, from scratch "
        "vit_base_patch16");
  o.add("input_size", input_size,
        "height and width of the images, in pixels; 0: the checkpoint's, from scratch 224");
  o.add("patch_size", patch_size,
        "from scratch: side of a patch in pixels; 0: by the model's name");
  o.add("dim", dim, "from scratch: width; 0: by the model's name");
  o.add("depth", depth, "from scratch: blocks; 0: by the model's name");
  declare_classes(o);
  o.add("global_pool", global_pool, "classify the mean of the patch tokens");
  o.add("cls_token", cls_token, "classify the class token instead");
  o.add("drop_path", drop_path,
        "probability that the last block's branches are left out for an image; rises linearly "
        "from 0 at the first");
  data.declare(o);
  declare_cache(o, data);
  OptimOptions::declare(o, "of AdamW; biases, norms, class token, positions are exempt");
  o.add("layer_decay", layer_decay, "learning rate of a layer over that of the layer above it");
  MemoryOptions::declare(o);
  o.section("augment");
  o.add("aa", aa, "RandAugment policy in timm's spelling, or none");
  o.add("smoothing", smoothing, "label smoothing: the fraction spread over all classes");
  o.add("reprob", reprob, "probability that a rectangle of an image is erased");
  o.add("remode", remode, {{"pixel", EraseMode::pixel}}, "with noise for every pixel");
  o.add("mixup", mixup, "alpha of mixup; 0: not used");
  o.add("cutmix", cutmix, "alpha of cutmix; 0: not used");
  o.add("mixup_prob", mixup_prob, "probability that a batch is mixed");
  o.add("mixup_switch_prob", mixup_switch_prob, "probability of cutmix where both are used");
  o.add("mixup_mode", mixup_mode, {{"batch", MixMode::batch}}, "one draw for a whole batch");
  o.add("crop_min", crop_min, "smallest share of an image's area in a training crop");
  o.add("flip", flip, "mirror half of the training images");
  declare_run(o);
}

void FinetuneOptions::check() const {
  const auto need_share = [&](const char* name, double value) {
    need(value >= 0 && value <= 1, str(name, " must be between 0 and 1, but is ", value));
  };
  need(!eval || !checkpoint.empty(),
       "eval tests a fine-tuned classifier; name it with --checkpoint PATH");
  ClassifierOptions::check();
  for (const auto& [name, size] : {std::pair{"input_size", input_size},
                                   {"patch_size", patch_size},
                                   {"dim", dim},
                                   {"depth", depth},
                                   {"heads", open.heads}})
    need(size >= 0, str(name, " must not be negative, but is ", size));
  need(layer_decay > 0 && layer_decay <= 1,
       str("layer_decay must be greater than 0 and at most 1, but is ", layer_decay));
  need(drop_path >= 0 && drop_path < 1,
       str("drop_path must be at least 0 and less than 1, but is ", drop_path));
  need(smoothing >= 0 && smoothing < 1,
       str("smoothing must be at least 0 and less than 1, but is ", smoothing));
  need(crop_min > 0 && crop_min <= 1,
       str("crop_min must be greater than 0 and at most 1, but is ", crop_min));
  need(mixup >= 0 && cutmix >= 0, "mixup and cutmix must not be negative");
  need_share("reprob", reprob);
  need_share("mixup_prob", mixup_prob);
  need_share("mixup_switch_prob", mixup_switch_prob);
  parse_rand_augment(aa);
}

ordered_json finetune(FinetuneOptions options, const FinetuneHooks& hooks) {
  if (options.eval && options.checkpoint.empty() && options.resume != "auto")  // as MAE's script
    options.checkpoint = std::exchange(options.resume, "auto");
  options.check();
  settle(options, evaluation_folder(options.output_dir, options.checkpoint, "finetune"));
  open_device(options.device);  // refused before files are read
  use_threads(options.threads);
  const StopSignals signals;
  std::optional<Pretrained> start;
  if (!options.checkpoint.empty()) start = read_pretrained(options.checkpoint, options.open);
  if (options.eval) return evaluate_only(options, *start);
  LabelledSources sources = open_classes(
      start ? options.data.read_as(start->normalisation) : options.data, options.nb_classes);
  sources.train = keep_decoded(std::move(sources.train), options.data, options.epochs);
  whole_steps(sources.train->size(), options);  // what is refused before leaves no trace
  FinetuneTask task(options, start, sources);
  Loader(*sources.train, task.training_loader());  // the same of images that no loader gives
  EngineHooks engine_hooks;
  if (hooks.after_step)
    engine_hooks.after_step = [&](const StepDone& step) {
      hooks.after_step(step.epoch, step.step, task.model());
    };
  return train_classifier(task, options, config_toml(options), fine_tuning,
                          open_run_folder(options, fine_tuning), engine_hooks, summary(options));
}

}  // namespace sgmae
