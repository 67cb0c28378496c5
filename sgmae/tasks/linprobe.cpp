#include "sgmae/tasks/linprobe.h"

#include <ATen/Parallel.h>
#include <ATen/ops/scalar_tensor.h>

#include <memory>
#include <utility>

#include "sgmae/base/clock.h"
#include "sgmae/base/log.h"
#include "sgmae/base/signals.h"
#include "sgmae/data/kept_source.h"
#include "sgmae/eval/logistic.h"
#include "sgmae/optim/lars.h"
#include "sgmae/parallel/process_group.h"
#include "sgmae/tasks/settle.h"
#include "sgmae/train/checkpoint.h"
#include "sgmae/train/flops.h"

namespace sgmae {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
namespace fs = std::filesystem;

const RunKind probing{"linprobe", "linear probe", "[probe]", {"figures"}};

OpenedModel load_encoder(const LinprobeOptions& o) {
  OpenedModel loaded = open_model(o.checkpoint, o.open);
  check_use(Use::linprobe, loaded);
  place(loaded, o);
  check_model_name(o.model, loaded.encoder().config(), loaded.path);
  return loaded;
}

LoaderOptions test_loader(const LinprobeOptions& options, const OpenedModel& encoder,
                          const Source& source) {
  return evaluation_loader(options.data, source, encoder.encoder().config(),
                           encoder.info.normalisation(), options.batch_size);
}

// A classifier that is whole in itself: encoder and head under MAE's names.
void save_classifier(const fs::path& path, const OpenedModel& encoder, const LinearHead& head,
                     FeatureKind kind, const std::vector<std::string>& class_names) {
  VitConfig config = encoder.encoder().config();
  config.classes = head.classes();
  config.batch_norm_head = true;
  config.pooling = kind == FeatureKind::cls ? Pooling::cls : Pooling::normed_mean;
  NamedTensors tensors;
  for (const Parameter& parameter : encoder.parameters())
    if (is_encoder_tensor(parameter.name) && !parameter.name.starts_with("head."))
      tensors.emplace_back(parameter.name, parameter.value);
  for (const auto& [name, tensor] : head.tensors()) tensors.emplace_back(name, tensor);
  ModelInfo info = encoder.info;
  info.position_mean = at::Tensor();
  info.class_names = class_names;
  save_tensors(path, tensors, to_json(config), info);
}

ordered_json summary(const OpenedModel& encoder, const LinprobeOptions& options) {
  return {{"checkpoint", encoder.path.string()},
          {"checkpoint_epoch", encoder.info.epoch},
          {"protocol", options.cached_features ? "cached features, L-BFGS" : "augmented, LARS"},
          {"features", options.global_pool ? "mean" : "cls"}};
}

// MAE's protocol.
class ProbeTask : public ClassifierTask {
 public:
  ProbeTask(const LinprobeOptions& options, const OpenedModel& encoder,
            const LabelledSources& sources)
      : ClassifierTask(sources),
        options_(options),
        encoder_(encoder),
        head_(encoder.encoder().config().size.dim, sources.classes, options.seed),
        encoder_hash_(model_hash(encoder.parameters())) {
    learner_.parameters = &head_.parameters();
    learner_.optimizer = std::make_unique<Lars>(head_.parameters(),
                                                LarsOptions{.weight_decay = options.weight_decay});
    learner_.schedule = schedule(options);
    learner_.clip_grad = options.clip_grad;
    if (options.sync_bn) head_.synchronise_statistics();
  }

  std::vector<Learner*> learners() override { return {&learner_}; }
  at::Device device() const override { return encoder_.encoder().device(); }
  const LinearHead& head() const { return head_; }

  LoaderOptions training_loader() const override {
    LoaderOptions loader =
        plain_loader(options_, encoder_.encoder().config(), encoder_.info.normalisation());
    loader.augment.min_scale = 0.08;
    loader.augment.single_draw = true;
    return loader;
  }

  at::Tensor forward_backward(Batch& batch, const StepPlace& place) override {
    const Features features = encode_batch(encoder_.encoder(), batch);
    return at::scalar_tensor(head_.forward_backward(features_of(features, options_.features()),
                                                    features.label, place.loss_scale),
                             at::kDouble);
  }
  bool passes_are_collective() const override { return options_.sync_bn; }
  void after_step(const StepDone&) override { head_.move_statistics(); }

  void save_model(const fs::path& path, const TrainClock&) const override {
    save_classifier(path, encoder_, head_, options_.features(), sources_.class_names);
  }
  TaskState state() const override { return {{{"encoder", encoder_hash_}}, head_.tensors()}; }
  void restore(const json& state, const TensorFile& file) override {
    check(state.at("encoder") == encoder_hash_, ExitCode::usage, options_.output_dir,
          " contains a probe of another encoder; choose another --output_dir");
    head_.load(file);
  }

  ordered_json facts() const override {
    return {{"model", str("encoder ", encoder_.path.string(), ", ", value_count(head_.parameters()),
                          " parameters in the head on its ",
                          options_.global_pool ? "patches' mean" : "class token")},
            {"data", data_sentence()},
            {"training", compute_name(encoder_.encoder())},
            {"precision", name_of(encoder_.encoder().precision())},
            {"encoder", encoder_hash_},
            {"test_images", sources_.test->size()}};
  }
  // The encoder alone, forward only.
  double flop_per_image() const override {
    return training_flop_per_image(encoder_.encoder().config()) / 3;
  }

 protected:
  TestResult test() const override {
    return test_classifier(*sources_.test, test_loader(options_, encoder_, *sources_.test),
                           head_.classes(), [&](const Batch& batch) {
                             return head_.scores(features_of(
                                 encode_batch(encoder_.encoder(), batch), options_.features()));
                           });
  }

 private:
  const LinprobeOptions& options_;
  const OpenedModel& encoder_;
  LinearHead head_;
  std::string encoder_hash_;  // frozen, so computed once
  Learner learner_;
};

// The exact solution on features that took `seconds`, written to `folder`.
ordered_json solve(const LinprobeOptions& options, const OpenedModel& encoder,
                   const LabelledSources& sources, const Features& train, const Features& test,
                   double seconds, const RunFolder& folder, TestResult& result) {
  const double begun = seconds_now();
  const LogisticFit fit = fit_logistic(features_of(train, options.features()), train.label,
                                       sources.classes, {.l2 = options.l2, .seed = options.seed});
  const double solved = seconds_now() - begun;
  const at::Tensor scores = fit.head.scores(features_of(test, options.features()));
  result.counts.add(scores, test.label);
  result.loss = cross_entropy(scores, test.label) / static_cast<double>(test.label.size());
  result.unreadable = test.unreadable;

  const LogFile log(folder.messages());
  describe_run(folder, config_toml(options), options.seed,
               {{"threads", at::get_num_threads()},
                {"device", encoder.encoder().device().str()},
                {"precision", name_of(encoder.encoder().precision())}});
  if (!fit.solver.converged)
    warn("the solver stopped at a slope of ", fit.solver.gradient, " after ", fit.solver.iterations,
         " iterations");
  info("features in ", fixed(seconds, 1), " s, solution in ", fixed(solved, 1), " s, l2 ", fit.l2);
  save_classifier(folder.root / best_model, encoder, fit.head, options.features(),
                  sources.class_names);
  ordered_json json = summary(encoder, options);
  json.update(score_entries(sources, result));
  json["train_images"] = train.label.size();
  json["unreadable_train_images"] = train.unreadable;
  json["l2"] = fit.l2;
  json["trials"] = json::array();
  for (const LogisticTrial& trial : fit.trials)
    json["trials"].push_back(
        {{"l2", trial.l2}, {"held_out_acc1", trial.accuracy}, {"held_out_loss", trial.loss}});
  json["solver"] = {{"iterations", fit.solver.iterations},
                    {"gradient", fit.solver.gradient},
                    {"converged", fit.solver.converged}};
  json["seconds"] = {{"features", seconds}, {"solution", solved}};
  return json;
}

// Features once, then the exact solution.
ordered_json probe_cached(const LinprobeOptions& options, const OpenedModel& encoder,
                          const LabelledSources& sources) {
  const double begun = seconds_now();
  const auto encode = [&](const Source& source) {
    return extract_features(encoder.encoder(), source, test_loader(options, encoder, source));
  };
  const Features train = encode(*sources.train), test = encode(*sources.test);
  const double encoded = seconds_now();
  const RunFolder folder = open_run_folder(options, probing);
  TestResult result{ClassificationCounts(sources.classes)};
  ordered_json json;
  processes().leader([&] {
    json = solve(options, encoder, sources, train, test, encoded - begun, folder, result);
  });
  return report_test(folder.root, json, result, sources);
}
// The classifier that `checkpoint` holds, tested.
ordered_json evaluate_only(const LinprobeOptions& options, const OpenedModel& encoder) {
  const VitConfig& config = encoder.encoder().config();
  check(
      config.batch_norm_head, ExitCode::checkpoint, encoder.path.string(),
      ": contains no classifier (no 'head.1.weight'); give a probe's checkpoint-best.safetensors");
  const LabelledSources sources = open_test_images(
      options.data.read_as(encoder.info.normalisation()),
      {encoder.path, config.classes, encoder.info.class_names}, options.nb_classes);
  LinprobeOptions as_trained = options;
  as_trained.global_pool = config.pooling == Pooling::normed_mean;
  const TestResult test =
      test_classifier(*sources.test, test_loader(options, encoder, *sources.test), config.classes,
                      [&](const Batch& batch) {
                        return encoder.vit()->scores(features_of(
                            encode_batch(encoder.encoder(), batch), as_trained.features()));
                      });
  ordered_json result = summary(encoder, as_trained);
  result.erase("protocol");
  result.update(score_entries(sources, test));
  return report_test(options.output_dir, result, test, sources);
}

}  // namespace

LinprobeOptions::LinprobeOptions() {
  batch_size = 512;
  epochs = 90;
  usual_epochs = 90, usual_warmup = 10;
  blr = 0.1;
  weight_decay = 0;
}

void LinprobeOptions::declare(Options& o) {
  o.section("model");
  declare_checkpoint(o, "run folder or .safetensors file; the decoder is not needed");
  o.add("model", model, "model name that the checkpoint must match; empty: any")
      .may_change_on_resume();
  declare_classes(o).may_change_on_resume();
  data.declare(o);
  declare_cache(o, data);
  OptimOptions::declare(o, "of LARS");
  o.section("probe");
  o.add("global_pool", global_pool, "probe the mean of the patch tokens, not the class token");
  o.add("cls_token", cls_token, "probe the class token: the default, by MAE's flag");
  o.add("sync_bn", sync_bn,
        "of several processes, normalise by the statistics of all their batches together");
  o.add("cached_features", cached_features,
        "features of whole images, computed once, and the exact solution by L-BFGS, in place of "
        "training on augmented images");
  o.add("l2", l2,
        "with cached_features: regularisation, in units of mean cross-entropy; negative: chosen on "
        "a held-out tenth of the training images");
  declare_run(o);
}

void LinprobeOptions::check() const {
  need(!checkpoint.empty(),
       "checkpoint is missing; name a run folder or a model file: --checkpoint PATH");
  need(!(global_pool && cls_token), "global_pool and cls_token exclude each other; give one");
  need(batch_size >= 2, str("batch_size must be at least 2, not ", batch_size));
  ClassifierOptions::check();
}

ordered_json linprobe(LinprobeOptions options, const LinprobeHooks& hooks) {
  options.check();
  settle(options, evaluation_folder(options.output_dir, options.checkpoint, "linprobe"));
  open_device(options.device);  // refused before files are read
  use_threads(options.threads);
  const StopSignals signals;
  const OpenedModel encoder = load_encoder(options);
  const LabelledData data = options.data.read_as(encoder.info.normalisation());
  try {
    if (options.eval) return evaluate_only(options, encoder);
    if (options.cached_features)
      return probe_cached(options, encoder, open_classes(data, options.nb_classes));
  } catch (const StopRequested&) {
    fail(ExitCode::interrupted, nothing_written);
  }
  LabelledSources sources = open_classes(data, options.nb_classes);
  sources.train = keep_decoded(std::move(sources.train), options.data, options.epochs);
  whole_steps(sources.train->size(), options);  // what is refused before leaves no trace
  ProbeTask task(options, encoder, sources);
  Loader(*sources.train, task.training_loader());  // the same of images that no loader gives
  EngineHooks engine_hooks;
  if (hooks.after_step)
    engine_hooks.after_step = [&](const StepDone& step) {
      hooks.after_step(step.epoch, step.step, task.head());
    };
  return train_classifier(task, options, config_toml(options), probing,
                          open_run_folder(options, probing), engine_hooks,
                          summary(encoder, options));
}

}  // namespace sgmae
