#include "sgmae/eval/linprobe.h"

#include <ATen/Parallel.h>

#include <cmath>
#include <memory>
#include <optional>
#include <utility>

#include "sgmae/base/clock.h"
#include "sgmae/base/log.h"
#include "sgmae/eval/classifier_run.h"
#include "sgmae/eval/linear_head.h"
#include "sgmae/eval/logistic.h"
#include "sgmae/optim/groups.h"
#include "sgmae/optim/lars.h"
#include "sgmae/optim/schedule.h"
#include "sgmae/train/checkpoint.h"
#include "sgmae/train/console.h"
#include "sgmae/train/flops.h"
#include "sgmae/train/guard.h"
#include "sgmae/train/signals.h"

namespace sgmae {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
namespace fs = std::filesystem;

double peak_lr(const LinprobeOptions& o) {
  return sgmae::peak_lr(o.lr, o.blr, o.batch_size * o.accum_iter);
}

void check_options(const LinprobeOptions& o) {
  const auto need = [](bool fits, const std::string& message) {
    check(fits, ExitCode::usage, message);
  };
  need(!o.checkpoint.empty(),
       "checkpoint is missing; name a run folder or a model file: --checkpoint PATH");
  need(!(o.global_pool && o.cls_token), "global_pool and cls_token exclude each other; give one");
  need(!o.output_dir.empty(), "output_dir is empty; name a folder: --output_dir FOLDER");
  need(o.resume == "auto" || o.resume == "none",
       str("resume must be auto or none, not '", o.resume,
           "'; to go on with a probe give its --output_dir again"));
  need(o.batch_size >= 2, str("batch_size must be at least 2, not ", o.batch_size));
  need(o.accum_iter >= 1, str("accum_iter must be at least 1, not ", o.accum_iter));
  need(o.epochs >= 1, str("epochs must be at least 1, not ", o.epochs));
  need(o.warmup_epochs >= 0, str("warmup_epochs must not be negative, but is ", o.warmup_epochs));
  need(std::isfinite(peak_lr(o)) && peak_lr(o) > 0,
       str("the learning rate must be positive, but is ", peak_lr(o), "; set --blr or --lr"));
  need(o.min_lr >= 0 && o.min_lr <= peak_lr(o),
       str("min_lr must lie in 0 .. ", peak_lr(o), " (the peak), not be ", o.min_lr));
  need(o.weight_decay >= 0, str("weight_decay must not be negative, but is ", o.weight_decay));
  need(o.log_every >= 1, str("log_every must be at least 1, not ", o.log_every));
  check_launch(o.launch, o.accum_iter);
}

OpenedModel load_encoder(const LinprobeOptions& o) {
  OpenedModel loaded = open_model(o.checkpoint);
  place(loaded, o.device, o.precision);
  check(loaded.encoder().config().pooling != Pooling::mean, ExitCode::usage, loaded.path.string(),
        " is a classifier fine-tuned with global pooling, whose encoder has no final norm to probe "
        "behind; probe the encoder from which it was trained");
  check_model_name(o.model, loaded.encoder().config(), loaded.path);
  return loaded;
}

// The options that say where a probe lives and how fast it goes, not what comes out. That the
// encoder is the same is told by its weights.
bool may_change(const OptionInfo& option) {
  for (const char* name :
       {"checkpoint", "finetune", "model", "nb_classes", "data_path", "data_format", "data_root",
        "num_workers", "output_dir", "job_dir", "log_dir", "resume", "device", "precision",
        "threads", "log_every", "pin_mem", "dist_eval"})
    if (option.name == name) return true;
  return is_launch_option(option.name);
}

RunFolder open_folder(const LinprobeOptions& options) {
  LinprobeOptions there, here = options;
  Options stored, given;
  there.declare(stored);
  here.declare(given);
  return open_classifier_folder(options.output_dir, options.resume, stored, given, may_change,
                                {"[probe]", "linear probe", "probe"});
}

void describe(const RunFolder& folder, const LinprobeOptions& options,
              const std::string& encoder_hash) {
  LinprobeOptions copy = options;
  Options declared;
  copy.declare(declared);
  describe_run(folder, declared, options.seed,
               {{"threads", at::get_num_threads()}, {"encoder", encoder_hash}});
}

LoaderOptions whole_images(const LinprobeOptions& options, const OpenedModel& encoder,
                           const Source& source) {
  return evaluation_loader(options.data, source, encoder.encoder().config(),
                           {encoder.info.mean, encoder.info.std}, options.batch_size);
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

ordered_json summary(const OpenedModel& encoder, const LinprobeOptions& options,
                     const LabelledSources& sources, const ClassificationCounts& counts) {
  ordered_json j{
      {"checkpoint", encoder.path.string()},
      {"checkpoint_epoch", encoder.info.epoch},
      {"protocol", options.cached_features ? "cached features, L-BFGS" : "augmented, LARS"},
      {"features", options.global_pool ? "mean" : "cls"}};
  j.update(score_entries(sources, counts));
  return j;
}

// Where a probe stands: everything here is saved, so that a resumed one goes on exactly.
struct Position {
  std::int64_t epoch = 0, step = 0;  // epochs finished and tested; steps finished of the next one
  double loss_sum = 0, lr_sum = 0;   // over the present epoch's steps
  double best = -1;                  // share of test images right
  std::int64_t best_epoch = -1;
  std::int64_t rollbacks = 0;

  json to_json() const {
    return {{"epoch", epoch},        {"step", step}, {"loss_sum", loss_sum},
            {"lr_sum", lr_sum},      {"best", best}, {"best_epoch", best_epoch},
            {"rollbacks", rollbacks}};
  }
  static Position from_json(const json& j) {
    return {.epoch = j.at("epoch"),
            .step = j.at("step"),
            .loss_sum = j.at("loss_sum"),
            .lr_sum = j.at("lr_sum"),
            .best = j.at("best"),
            .best_epoch = j.at("best_epoch"),
            .rollbacks = j.at("rollbacks")};
  }
};

// MAE's protocol.
class ProbeTrainer {
 public:
  ProbeTrainer(const LinprobeOptions& options, const LinprobeHooks& hooks,
               const OpenedModel& encoder, const LabelledSources& sources)
      : options_(options),
        hooks_(hooks),
        encoder_(encoder),
        sources_(sources),
        steps_per_epoch_(whole_steps(*sources.train, options.batch_size, options.accum_iter)),
        head_(encoder.encoder().config().size.dim, sources.classes, options.seed),
        optimizer_(head_.parameters(), LarsOptions{.weight_decay = options.weight_decay}),
        encoder_hash_(model_hash(encoder.parameters())) {}

  ordered_json run() {
    folder_ = open_folder(options_);
    const LogFile log(folder_.messages());
    const bool resumed = folder_.existed && restore();
    describe(folder_, options_, encoder_hash_);
    trim_log(folder_.log(), position_.epoch);
    EventWriter events(options_.log_dir.empty() ? folder_.root : fs::path(options_.log_dir));
    info("encoder: ", encoder_.path.string(), "; ", sources_.train->size(), " training and ",
         sources_.test->size(), " test images of ", sources_.classes, " classes; lr ",
         peak_lr(options_));
    if (!resumed) save_state();  // so that there is always one to roll back to
    try {
      while (position_.epoch < options_.epochs) run_epoch(events);
      if (!last_test_) last_test_ = test();  // a finished probe, called again
    } catch (const StopRequested&) {
      save_state();
      fail(ExitCode::interrupted, "interrupted; ", (folder_.root / last_state).string(),
           " is written, and the same command goes on from there");
    }
    ordered_json result = summary(encoder_, options_, sources_, last_test_->counts);
    result["epochs"] = options_.epochs;
    result["best_acc1"] = position_.best;
    result["best_epoch"] = position_.best_epoch;
    result["rollbacks"] = position_.rollbacks;
    return report_test(folder_.root, result, *last_test_, sources_);
  }

 private:
  EpochConsole console() const {
    return {.epoch = position_.epoch,
            .epochs = options_.epochs,
            .batches = steps_per_epoch_ * options_.accum_iter,
            .log_every = options_.log_every,
            .images_per_batch = options_.batch_size,
            // The encoder alone, forward only.
            .flop_per_image = training_flop_per_image(encoder_.encoder().config()) / 3};
  }

  LoaderOptions augmented_loader() const {
    LoaderOptions loader = training_loader(
        options_.data, encoder_.encoder().config(), {encoder_.info.mean, encoder_.info.std},
        options_.batch_size, order_seed(options_.seed, position_.rollbacks));
    loader.pinned = options_.pin_mem && encoder_.encoder().device().is_cuda();
    loader.augment.min_scale = 0.08;
    loader.augment.single_draw = true;
    return loader;
  }

  void run_epoch(EventWriter& events) {
    try {
      train_epoch();
      last_test_ = test();
      finish_epoch(*last_test_, events);
    } catch (const Error& error) {
      if (error.code() != ExitCode::diverged) throw;
      roll_back();
    }
  }

  void roll_back() {
    const std::string where = str("epoch ", position_.epoch, ", step ", position_.step);
    const std::int64_t rollbacks = position_.rollbacks + 1;
    restore();
    const std::string target =
        str(last_state, " of epoch ", position_.epoch, ", step ", position_.step);
    rollback_limit_.count(target, where, "lower --blr");
    warn("the probe's loss is not finite at ", where, ": rolling back to ", target,
         " and going on with another order of images");
    trim_log(folder_.log(), position_.epoch);
    position_.rollbacks = rollbacks;
    loader_.reset();
  }

  void train_epoch() {
    if (!loader_) loader_ = std::make_unique<Loader>(*sources_.train, augmented_loader());
    loader_->start_epoch(position_.epoch, position_.step * options_.accum_iter);
    EpochConsole console = this->console();
    while (position_.step < steps_per_epoch_) {
      if (stop_requested()) throw StopRequested();
      take_step(console);
    }
  }

  void take_step(EpochConsole& console) {
    const double epoch =
        static_cast<double>(position_.epoch) +
        static_cast<double>(position_.step) / static_cast<double>(steps_per_epoch_);
    console.lr = learning_rate({.peak_lr = peak_lr(options_),
                                .min_lr = options_.min_lr,
                                .warmup_epochs = options_.warmup_epochs,
                                .epochs = static_cast<double>(options_.epochs)},
                               epoch);
    double sum = 0;
    for (std::int64_t i = 0; i < options_.accum_iter; ++i) {
      const double begun = seconds_now();
      Batch batch;
      const bool more = loader_->next(batch);
      SGMAE_ASSERT(more);
      const double loaded = seconds_now();
      const Features features = encode_batch(encoder_.encoder(), batch);
      const double loss =
          head_.forward_backward(features_of(features, options_.features()), features.label,
                                 1.0 / static_cast<double>(options_.accum_iter));
      sum += loss;
      console.loss.add(loss);
      console.data.add(loaded - begun);
      console.time.add(seconds_now() - begun);
      console.device_memory = peak_device_memory(encoder_.encoder().device());
      console.show(position_.step * options_.accum_iter + i + 1);
    }
    check(std::isfinite(sum), ExitCode::diverged, "the probe's loss is not finite in epoch ",
          position_.epoch, "; lower --blr");
    optimizer_.step(console.lr);
    zero_gradients(head_.parameters());
    position_.loss_sum += sum / static_cast<double>(options_.accum_iter);
    position_.lr_sum += console.lr;
    ++position_.step;
    if (hooks_.after_step) hooks_.after_step(position_.epoch, position_.step, head_);
  }

  TestResult test() const {
    return test_classifier(*sources_.test, whole_images(options_, encoder_, *sources_.test),
                           head_.classes(), [&](const Batch& batch) {
                             return head_.scores(features_of(
                                 encode_batch(encoder_.encoder(), batch), options_.features()));
                           });
  }

  void finish_epoch(const TestResult& test, EventWriter& events) {
    const double steps = static_cast<double>(steps_per_epoch_);
    ordered_json entries{{"train_lr", position_.lr_sum / steps},
                         {"train_loss", position_.loss_sum / steps}};
    entries.update(test_log_entries(test));
    entries.update({{"epoch", position_.epoch}, {"n_parameters", value_count(head_.parameters())}});
    log_epoch(folder_, events, position_.epoch, entries,
              {"train_loss", "test_loss", "test_acc1", "test_acc5"});

    const bool best = test.counts.top1() > position_.best;
    if (best) {
      position_.best = test.counts.top1();
      position_.best_epoch = position_.epoch;
    }
    info("epoch ", position_.epoch, ": top-1 ", fixed(100 * test.counts.top1(), 2), " %, best ",
         fixed(100 * position_.best, 2), " %");
    ++position_.epoch;
    position_.step = 0;
    position_.loss_sum = position_.lr_sum = 0;
    if (best) save_model(best_classifier);
    save_model(last_classifier);
    save_state();
  }

  void save_model(const char* name) const {
    save_classifier(folder_.root / name, encoder_, head_, options_.features(),
                    sources_.train->class_names());
  }

  // The state holds the head too, so that it alone says where to go on.
  void save_state() const {
    NamedTensors tensors = head_.tensors();
    for (const auto& [name, tensor] : optimizer_.state()) tensors.emplace_back(name, tensor);
    const json state{{"position", position_.to_json()},
                     {"encoder", encoder_hash_},
                     {"images", sources_.train->size()}};
    write_safetensors(folder_.root / last_state, tensors, {{"probe", state.dump()}});
  }

  bool restore() {  // false where there is nothing to go on from
    const fs::path path = folder_.root / last_state;
    if (!fs::exists(path)) return false;
    const TensorFile file = read_safetensors(path);
    try {
      const auto text = file.metadata.find("probe");
      const json state = json::parse(text == file.metadata.end() ? "" : text->second);
      check(state.at("encoder") == encoder_hash_, ExitCode::usage, folder_.root.string(),
            " holds a probe of another encoder; choose another --output_dir");
      check(state.at("images") == sources_.train->size(), ExitCode::usage, folder_.root.string(),
            " holds a probe on ", state.at("images").dump(), " training images, and there are ",
            sources_.train->size(), " now; choose another --output_dir");
      position_ = Position::from_json(state.at("position"));
    } catch (const json::exception&) {
      fail(ExitCode::checkpoint, path.string(), ": damaged; delete it to begin the probe anew");
    }
    head_.load(file);
    optimizer_.load(file);
    zero_gradients(head_.parameters());
    info("resumed from ", path.string(), ": epoch ", position_.epoch, ", step ", position_.step);
    return true;
  }

  const LinprobeOptions& options_;
  const LinprobeHooks& hooks_;
  const OpenedModel& encoder_;
  const LabelledSources& sources_;
  std::int64_t steps_per_epoch_;
  LinearHead head_;
  Lars optimizer_;
  std::string encoder_hash_;  // frozen, so computed once
  RunFolder folder_;
  Position position_;
  std::unique_ptr<Loader> loader_;  // made anew after a roll-back, with another order of images
  RollbackLimit rollback_limit_;
  std::optional<TestResult> last_test_;
};

Features encode_all(const OpenedModel& encoder, const LinprobeOptions& options,
                    const Source& source) {
  Loader loader(source, whole_images(options, encoder, source));
  loader.start_epoch(0);
  return extract_features(encoder.encoder(), [&](Batch& batch) {
    if (stop_requested())
      fail(ExitCode::interrupted,
           "interrupted; nothing is written, and the same command begins "
           "anew");
    return loader.next(batch);
  });
}

// Features once, then the exact solution.
ordered_json probe_cached(const LinprobeOptions& options, const OpenedModel& encoder,
                          const LabelledSources& sources) {
  const double begun = seconds_now();
  const Features train = encode_all(encoder, options, *sources.train);
  const Features test = encode_all(encoder, options, *sources.test);
  const double encoded = seconds_now();
  const LogisticFit fit = fit_logistic(features_of(train, options.features()), train.label,
                                       sources.classes, {.l2 = options.l2, .seed = options.seed});
  const double solved = seconds_now();
  const at::Tensor scores = fit.head.scores(features_of(test, options.features()));
  TestResult result{ClassificationCounts(sources.classes)};
  result.counts.add(scores, test.label);
  result.loss = cross_entropy(scores, test.label) / static_cast<double>(test.label.size());

  const RunFolder folder = open_folder(options);
  const LogFile log(folder.messages());
  describe(folder, options, model_hash(encoder.parameters()));
  if (!fit.solver.converged)
    warn("the solver stopped at a slope of ", fit.solver.gradient, " after ", fit.solver.iterations,
         " iterations");
  info("features in ", fixed(encoded - begun, 1), " s, solution in ", fixed(solved - encoded, 1),
       " s, l2 ", fit.l2);
  save_classifier(folder.root / best_classifier, encoder, fit.head, options.features(),
                  sources.train->class_names());
  ordered_json json = summary(encoder, options, sources, result.counts);
  json["test_loss"] = result.loss;
  json["l2"] = fit.l2;
  json["trials"] = json::array();
  for (const LogisticTrial& trial : fit.trials)
    json["trials"].push_back(
        {{"l2", trial.l2}, {"held_out_acc1", trial.accuracy}, {"held_out_loss", trial.loss}});
  json["solver"] = {{"iterations", fit.solver.iterations},
                    {"gradient", fit.solver.gradient},
                    {"converged", fit.solver.converged}};
  json["seconds"] = {{"features", encoded - begun}, {"solution", solved - encoded}};
  return report_test(folder.root, json, result, sources);
}

// The classifier that `checkpoint` holds, tested.
ordered_json evaluate_only(const LinprobeOptions& options, const OpenedModel& encoder,
                           const LabelledSources& sources) {
  const VitConfig& config = encoder.encoder().config();
  check(config.batch_norm_head, ExitCode::checkpoint, encoder.path.string(),
        ": holds no classifier (no 'head.1.weight'); name a probe's checkpoint-best.safetensors");
  check(config.classes == sources.classes, ExitCode::checkpoint, encoder.path.string(), ": tells ",
        config.classes, " classes apart, and the data set has ", sources.classes,
        "; use the data set it was trained on");
  LinprobeOptions as_trained = options;
  as_trained.global_pool = config.pooling == Pooling::normed_mean;
  const TestResult test =
      test_classifier(*sources.test, whole_images(options, encoder, *sources.test), config.classes,
                      [&](const Batch& batch) {
                        return encoder.vit()->scores(features_of(
                            encode_batch(encoder.encoder(), batch), as_trained.features()));
                      });
  ordered_json result = summary(encoder, as_trained, sources, test.counts);
  result.erase("protocol");
  result["test_loss"] = test.loss;
  return report_test(options.output_dir, result, test, sources);
}

}  // namespace

void LinprobeOptions::declare(Options& o) {
  o.section("model");
  o.add("checkpoint", checkpoint, "run folder or .safetensors file; the decoder is not needed");
  o.add("finetune", finetune, "checkpoint, as MAE's script calls it");
  o.add("model", model, "name that the checkpoint's sizes must fit; empty: any");
  o.add("nb_classes", nb_classes, "classes that the data must have; 0: any number");
  data.declare(o);
  o.section("optim");
  o.add("batch_size", batch_size, "images per forward pass");
  o.add("accum_iter", accum_iter, "forward passes per step; the effective batch is the product");
  o.add("epochs", epochs, "passes over the training images");
  o.add("warmup_epochs", warmup_epochs, "epochs of linearly rising learning rate");
  o.add("blr", blr, "base learning rate: lr = blr * effective batch / 256");
  o.add("lr", lr, "learning rate after the warm-up; 0: from blr");
  o.add("min_lr", min_lr, "learning rate at the end");
  o.add("weight_decay", weight_decay, "of LARS");
  o.section("probe");
  o.add("global_pool", global_pool, "probe the mean of the patch tokens, not the class token");
  o.add("cls_token", cls_token, "probe the class token: the default, by MAE's flag");
  o.add("cached_features", cached_features,
        "features of whole images, computed once, and the exact solution by L-BFGS, in place of "
        "training on augmented images");
  o.add("l2", l2,
        "with cached_features: regularisation, in units of mean cross-entropy; negative: chosen on "
        "a held-out tenth of the training images");
  o.section("run");
  o.add("output_dir", output_dir, "folder of the probe: configuration, logs, checkpoints, result");
  o.add("job_dir", job_dir, "output_dir, as MAE's submitit script calls it");
  o.add("log_dir", log_dir, "folder of TensorBoard events; empty: output_dir");
  o.add("resume", resume, "auto: go on where output_dir stopped; none: only start anew");
  o.add("eval", eval, "only test the classifier that the checkpoint holds");
  o.add("seed", seed, "of every random draw");
  declare_compute(o, device, threads, precision);
  o.add("log_every", log_every, "steps between console lines");
  o.add("pin_mem", pin_mem, "hold batches in memory that a GPU copies from directly");
  o.add("dist_eval", dist_eval, "accepted for MAE's command lines; one process tests all images");
  launch.declare(o);
}

nlohmann::ordered_json linprobe(LinprobeOptions options, const LinprobeHooks& hooks) {
  if (!options.finetune.empty()) options.checkpoint = std::exchange(options.finetune, "");
  if (!options.job_dir.empty()) options.output_dir = std::exchange(options.job_dir, "");
  check_options(options);
  open_device(options.device);  // refused before files are read
  use_threads(options.threads);
  const StopSignals signals;
  const OpenedModel encoder = load_encoder(options);
  const LabelledSources sources = open_classes(options.data, options.nb_classes);
  if (options.eval) return evaluate_only(options, encoder, sources);
  if (options.cached_features) return probe_cached(options, encoder, sources);
  return ProbeTrainer(options, hooks, encoder, sources).run();
}

}  // namespace sgmae
