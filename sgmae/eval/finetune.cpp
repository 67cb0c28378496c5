#include "sgmae/eval/finetune.h"

#include <ATen/Parallel.h>

#include <cmath>
#include <memory>
#include <optional>
#include <utility>

#include "sgmae/base/clock.h"
#include "sgmae/base/log.h"
#include "sgmae/data/mixup.h"
#include "sgmae/eval/classifier_file.h"
#include "sgmae/eval/classifier_run.h"
#include "sgmae/nn/drop_path.h"
#include "sgmae/optim/groups.h"
#include "sgmae/optim/layer_decay.h"
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

double peak_lr(const FinetuneOptions& o) {
  return sgmae::peak_lr(o.lr, o.blr, o.batch_size * o.accum_iter);
}

void check_options(const FinetuneOptions& o) {
  const auto need = [](bool fits, const std::string& message) {
    check(fits, ExitCode::usage, message);
  };
  const auto need_share = [&](const char* name, double value) {
    need(value >= 0 && value <= 1, str(name, " must lie in 0 .. 1, not be ", value));
  };
  need(!o.eval || !o.checkpoint.empty(),
       "eval tests a fine-tuned classifier; name it with --checkpoint PATH");
  need(!o.output_dir.empty(), "output_dir is empty; name a folder: --output_dir FOLDER");
  need(o.resume == "auto" || o.resume == "none",
       str("resume must be auto or none, not '", o.resume,
           "'; to go on with a run give its --output_dir again"));
  need(o.batch_size >= 1, str("batch_size must be at least 1, not ", o.batch_size));
  need(o.accum_iter >= 1, str("accum_iter must be at least 1, not ", o.accum_iter));
  need(o.epochs >= 1, str("epochs must be at least 1, not ", o.epochs));
  need(o.eval_every >= 1, str("eval_every must be at least 1, not ", o.eval_every));
  need(o.log_every >= 1, str("log_every must be at least 1, not ", o.log_every));
  need(o.warmup_epochs >= 0, str("warmup_epochs must not be negative, but is ", o.warmup_epochs));
  need(std::isfinite(peak_lr(o)) && peak_lr(o) > 0,
       str("the learning rate must be positive, but is ", peak_lr(o), "; set --blr or --lr"));
  need(o.min_lr >= 0 && o.min_lr <= peak_lr(o),
       str("min_lr must lie in 0 .. ", peak_lr(o), " (the peak), not be ", o.min_lr,
           "; raise --blr or lower --min_lr"));
  need(o.weight_decay >= 0, str("weight_decay must not be negative, but is ", o.weight_decay));
  need(o.layer_decay > 0 && o.layer_decay <= 1,
       str("layer_decay must lie between 0 and 1, not be ", o.layer_decay));
  need(o.drop_path >= 0 && o.drop_path < 1,
       str("drop_path must lie in 0 .. 1, not be ", o.drop_path));
  need(o.smoothing >= 0 && o.smoothing < 1,
       str("smoothing must lie in 0 .. 1, not be ", o.smoothing));
  need(o.crop_min > 0 && o.crop_min <= 1,
       str("crop_min must lie between 0 and 1, not be ", o.crop_min));
  need(o.mixup >= 0 && o.cutmix >= 0, "mixup and cutmix must not be negative");
  need_share("reprob", o.reprob);
  need_share("mixup_prob", o.mixup_prob);
  need_share("mixup_switch_prob", o.mixup_switch_prob);
  need(o.data.num_workers >= 0,
       str("num_workers must not be negative, but is ", o.data.num_workers));
  parse_rand_augment(o.aa);
  check_launch(o.launch, o.accum_iter);
}

// The architecture: the checkpoint's, else what the options say.
VitConfig classifier_config(const FinetuneOptions& o, const std::optional<Pretrained>& start,
                            const LabelledSources& sources) {
  VitConfig config;
  if (start) {
    config = start->config;
    check_model_name(o.model, config, start->path);
    check(o.dim == 0 && o.depth == 0 && o.heads == 0 && o.patch_size == 0, ExitCode::usage,
          "dim, depth, heads and patch_size are the checkpoint's; leave them out");
  } else {
    config = encoder_config(named_config(o.model.empty() ? "vit_base_patch16" : o.model));
    if (o.dim > 0) config.size.dim = o.dim, config.mlp_hidden = 4 * o.dim;
    if (o.depth > 0) config.size.depth = o.depth;
    if (o.heads > 0) config.size.heads = o.heads;
    if (o.patch_size > 0) config.patch_size = o.patch_size;
    config.channels = sources.train->native_channels();
  }
  if (o.input_size > 0) config.height = config.width = o.input_size;
  config.pooling = o.global_pool && !o.cls_token ? Pooling::mean : Pooling::cls;
  config.classes = sources.classes;
  config.batch_norm_head = false;  // of a linear probe, whose head is not used
  check_config(config);
  return config;
}

// The options that say where a run lives and how fast it goes, not what comes out.
bool may_change(const OptionInfo& option) {
  for (const char* name : {"checkpoint", "finetune", "data_path", "data_format", "data_root",
                           "num_workers", "output_dir", "job_dir", "log_dir", "resume", "device",
                           "precision", "threads", "log_every", "pin_mem", "dist_eval"})
    if (option.name == name) return true;
  return is_launch_option(option.name);
}

RunFolder open_folder(const FinetuneOptions& options) {
  FinetuneOptions there, here = options;
  Options stored, given;
  there.declare(stored);
  here.declare(given);
  return open_classifier_folder(options.output_dir, options.resume, stored, given, may_change,
                                {"[augment]", "fine-tuning", "run"});
}

TestResult test_model(const Vit& model, const FinetuneOptions& options, const Source& source,
                      const Normalisation& normalisation) {
  return test_classifier(
      source,
      evaluation_loader(options.data, source, model.config(), normalisation, options.batch_size),
      model.config().classes, [&](const Batch& batch) { return model.logits(batch.pixels); });
}

ordered_json summary(const FinetuneOptions& options, const LabelledSources& sources,
                     const TestResult& test) {
  ordered_json j{{"checkpoint", options.checkpoint}};
  if (options.checkpoint.empty()) j["checkpoint"] = nullptr;
  j.update(score_entries(sources, test.counts));
  j["test_loss"] = test.loss;
  return j;
}

// Where training stands: everything here is saved, so that a resumed run goes on exactly.
struct Position {
  std::int64_t epoch = 0, step = 0;  // epochs finished and tested; steps finished of the next one
  double loss_sum = 0, lr_sum = 0, norm_sum = 0;  // over the present epoch's good steps
  std::int64_t good_steps = 0;
  double best = -1;  // share of test images right
  std::int64_t best_epoch = -1;
  std::int64_t rollbacks = 0;

  json to_json() const {
    return {{"epoch", epoch},        {"step", step},
            {"loss_sum", loss_sum},  {"lr_sum", lr_sum},
            {"norm_sum", norm_sum},  {"good_steps", good_steps},
            {"best", best},          {"best_epoch", best_epoch},
            {"rollbacks", rollbacks}};
  }
  static Position from_json(const json& j) {
    return {.epoch = j.at("epoch"),
            .step = j.at("step"),
            .loss_sum = j.at("loss_sum"),
            .lr_sum = j.at("lr_sum"),
            .norm_sum = j.at("norm_sum"),
            .good_steps = j.at("good_steps"),
            .best = j.at("best"),
            .best_epoch = j.at("best_epoch"),
            .rollbacks = j.at("rollbacks")};
  }
  void next_epoch() {
    ++epoch;
    step = good_steps = 0;
    loss_sum = lr_sum = norm_sum = 0;
  }
  double mean_of(double sum) const {
    return good_steps > 0 ? sum / static_cast<double>(good_steps) : 0;
  }
};

Vit fresh_model(const FinetuneOptions& options, const VitConfig& config) {
  Vit model(config, options.seed);
  place(model, options.device, options.precision);
  return model;
}

class Trainer {
 public:
  Trainer(const FinetuneOptions& options, const FinetuneHooks& hooks,
          const std::optional<Pretrained>& start, const LabelledSources& sources);
  ordered_json run();

 private:
  LoaderOptions augmented_loader() const;
  void describe() const;
  void run_epoch(EventWriter& events);
  void train_epoch();
  void take_step(EpochConsole& console);
  double accumulate_gradients(EpochConsole& console);
  double forward_backward(Batch& batch, std::int64_t batch_number);
  TestResult test() const;
  [[noreturn]] void diverged() const;
  void finish_epoch(EventWriter& events);
  void roll_back();

  void save_model(const char* name) const;
  void save_state() const;
  bool restore();  // false where there is nothing to go on from

  const FinetuneOptions& options_;
  const FinetuneHooks& hooks_;
  const LabelledSources& sources_;
  Normalisation normalisation_;
  MixOptions mix_;
  std::int64_t steps_per_epoch_;
  Vit model_;
  AdamW optimizer_;
  StepGuard guard_{0};  // mixed batches differ widely in loss: only what is not finite is skipped
  RunFolder folder_;
  Position position_;
  std::unique_ptr<Loader> loader_;  // made anew after a roll-back, with another order of images
  RollbackLimit rollback_limit_;
  std::optional<TestResult> last_test_;
};

Trainer::Trainer(const FinetuneOptions& options, const FinetuneHooks& hooks,
                 const std::optional<Pretrained>& start, const LabelledSources& sources)
    : options_(options),
      hooks_(hooks),
      sources_(sources),
      mix_{.mixup = options.mixup,
           .cutmix = options.cutmix,
           .probability = options.mixup_prob,
           .switch_to_cutmix = options.mixup_switch_prob,
           .smoothing = options.smoothing},
      steps_per_epoch_(whole_steps(*sources.train, options.batch_size, options.accum_iter)),
      model_(fresh_model(options, classifier_config(options, start, sources))),
      optimizer_(
          model_.parameters(), {.beta1 = 0.9, .beta2 = 0.999, .weight_decay = options.weight_decay},
          layer_decay_rules(model_.parameters(), model_.config().size.depth, options.layer_decay)) {
  normalisation_ = start ? start->normalisation
                         : default_normalisation(static_cast<int>(model_.config().channels));
  if (start) load_pretrained(*start, model_);
}

ordered_json Trainer::run() {
  folder_ = open_folder(options_);
  const LogFile log(folder_.messages());
  const bool resumed = folder_.existed && restore();
  FinetuneOptions copy = options_;
  Options declared;
  copy.declare(declared);
  describe_run(folder_, declared, options_.seed,
               {{"threads", at::get_num_threads()}, {"device", model_.encoder().device().str()}});
  trim_log(folder_.log(), position_.epoch);
  describe();
  EventWriter events(options_.log_dir.empty() ? folder_.root : fs::path(options_.log_dir));
  if (!resumed) save_state();  // so that there is always one to roll back to
  try {
    while (position_.epoch < options_.epochs) run_epoch(events);
    if (!last_test_) last_test_ = test();  // a finished run, called again
  } catch (const StopRequested&) {
    save_state();
    fail(ExitCode::interrupted, "interrupted; ", (folder_.root / last_state).string(),
         " is written, and the same command goes on from there");
  }
  ordered_json result = summary(options_, sources_, *last_test_);
  result["epochs"] = options_.epochs;
  result["best_acc1"] = position_.best;
  result["best_epoch"] = position_.best_epoch;
  result["skipped_steps"] = guard_.skipped();
  result["rollbacks"] = position_.rollbacks;
  return report_test(folder_.root, result, *last_test_, sources_);
}

LoaderOptions Trainer::augmented_loader() const {
  LoaderOptions loader =
      training_loader(options_.data, model_.config(), normalisation_, options_.batch_size,
                      order_seed(options_.seed, position_.rollbacks));
  loader.pinned = options_.pin_mem && model_.encoder().device().is_cuda();
  loader.augment.min_scale = options_.crop_min;
  loader.augment.flip = options_.flip ? 0.5 : 0;
  loader.rand_augment = parse_rand_augment(options_.aa);
  loader.random_erase.probability = options_.reprob;
  return loader;
}

void Trainer::describe() const {
  const VitConfig& c = model_.config();
  const std::int64_t values = value_count(model_.parameters());
  info("model: ", c.height, "x", c.width, "x", c.channels, " images, patch ", c.patch_size, ", ",
       c.size.dim, " x ", c.size.depth, ", ", c.classes, " classes from ",
       c.pooling == Pooling::mean ? "the patches' mean" : "the class token", ", ",
       fixed(static_cast<double>(values) * 1e-6, 2), " M parameters, begun from ",
       options_.checkpoint.empty() ? "scratch" : options_.checkpoint);
  info("data: ", sources_.train->size(), " training and ", sources_.test->size(), " test images; ",
       steps_per_epoch_, " steps of ", options_.batch_size * options_.accum_iter,
       " images per epoch");
  info("lr ", peak_lr(options_), ", layer decay ", options_.layer_decay, ", weight decay ",
       options_.weight_decay, ", ", options_.epochs, " epochs, ", compute_name(model_.encoder()));
  info("run folder: ", folder_.root.string());
}

void Trainer::run_epoch(EventWriter& events) {
  try {
    train_epoch();
    finish_epoch(events);
  } catch (const Error& error) {
    if (error.code() != ExitCode::diverged) throw;
    roll_back();
  }
}

void Trainer::train_epoch() {
  if (!loader_) loader_ = std::make_unique<Loader>(*sources_.train, augmented_loader());
  loader_->start_epoch(position_.epoch, position_.step * options_.accum_iter);
  EpochConsole console{.epoch = position_.epoch,
                       .epochs = options_.epochs,
                       .batches = steps_per_epoch_ * options_.accum_iter,
                       .log_every = options_.log_every,
                       .images_per_batch = options_.batch_size,
                       .flop_per_image = training_flop_per_image(model_.config())};
  while (position_.step < steps_per_epoch_) {
    if (stop_requested()) throw StopRequested();
    take_step(console);
    if (guard_.spoiled()) diverged();
  }
}

void Trainer::diverged() const {
  fail(ExitCode::diverged, "training diverged in epoch ", position_.epoch,
       ": the loss is not finite; ", diverged_advice);
}

void Trainer::roll_back() {
  const std::string where = str("epoch ", position_.epoch, ", step ", position_.step);
  const std::int64_t rollbacks = position_.rollbacks + 1;
  const StepGuard guard = guard_;
  restore();
  const std::string target =
      str(last_state, " of epoch ", position_.epoch, ", step ", position_.step);
  rollback_limit_.count(target, where, diverged_advice);
  warn("the loss is not finite at ", where, ": rolling back to ", target,
       " and going on with another order of images");
  guard_ = guard;  // keeps counting
  guard_.forget();
  trim_log(folder_.log(), position_.epoch);
  position_.rollbacks = rollbacks;
  loader_.reset();
}

void Trainer::take_step(EpochConsole& console) {
  const double epoch = static_cast<double>(position_.epoch) +
                       static_cast<double>(position_.step) / static_cast<double>(steps_per_epoch_);
  console.lr = learning_rate({.peak_lr = peak_lr(options_),
                              .min_lr = options_.min_lr,
                              .warmup_epochs = options_.warmup_epochs,
                              .epochs = static_cast<double>(options_.epochs)},
                             epoch);
  const double loss = accumulate_gradients(console);
  const double norm = gradient_norm(model_.parameters());
  if (guard_.judge(loss, norm) == StepVerdict::good) {
    const bool clipped = options_.clip_grad > 0 && norm > options_.clip_grad;
    optimizer_.step(console.lr, clipped ? options_.clip_grad / norm : 1.0);
    model_.parameters_changed();
    position_.loss_sum += loss;
    position_.lr_sum += console.lr;
    position_.norm_sum += norm;
    ++position_.good_steps;
  } else {
    zero_gradients(model_.parameters());
    warn("epoch ", position_.epoch, ", step ", position_.step, " skipped: loss ", loss,
         ", gradient norm ", norm);
  }
  ++position_.step;
  if (hooks_.after_step) hooks_.after_step(position_.epoch, position_.step, model_);
}

// Mean loss of the step's batches; their gradients are summed with weight 1 / accum_iter.
double Trainer::accumulate_gradients(EpochConsole& console) {
  double sum = 0;
  Batch batch;
  for (std::int64_t i = 0; i < options_.accum_iter; ++i) {
    const std::int64_t batch_number = position_.step * options_.accum_iter + i;
    const double begun = seconds_now();
    const bool more = loader_->next(batch);
    SGMAE_ASSERT(more);
    const double loaded = seconds_now();
    const double loss = forward_backward(batch, batch_number);
    sum += loss;
    console.loss.add(loss);
    console.data.add(loaded - begun);
    console.time.add(seconds_now() - begun);
    console.device_memory = peak_device_memory(model_.encoder().device());
    console.show(batch_number + 1);
  }
  return sum / static_cast<double>(options_.accum_iter);
}

double Trainer::forward_backward(Batch& batch, std::int64_t batch_number) {
  const auto epoch = static_cast<std::uint64_t>(position_.epoch);
  Rng rng(options_.seed, epoch, static_cast<std::uint64_t>(batch_number), Purpose::mix);
  const double lambda = apply_mix(draw_mix(rng, mix_), batch.pixels);
  const VitConfig& config = model_.config();
  VitTrace trace;
  trace.encoder.drop_path = draw_drop_path(options_.seed, epoch, batch.index, config.size.depth,
                                           options_.drop_path, model_.encoder().device());
  const at::Tensor scores = model_.forward(batch.pixels, trace);
  at::Tensor dscores;
  const at::Tensor loss =
      soft_cross_entropy(scores, soft_targets(batch.label, config.classes, lambda, mix_.smoothing),
                         1.0 / static_cast<double>(options_.accum_iter), &dscores);
  model_.backward(dscores, trace);
  return loss.item<double>();
}

TestResult Trainer::test() const {
  try {
    return test_model(model_, options_, *sources_.test, normalisation_);
  } catch (const Error& error) {
    if (error.code() == ExitCode::diverged) diverged();  // scores that are not numbers
    throw;
  }
}

// An epoch counts as finished only when it is tested, so that one interrupted in its test is tested
// again.
void Trainer::finish_epoch(EventWriter& events) {
  const bool last = position_.epoch + 1 == options_.epochs;
  const bool tested = last || (position_.epoch + 1) % options_.eval_every == 0;
  if (tested) last_test_ = test();

  ordered_json entries{{"train_lr", position_.mean_of(position_.lr_sum)},
                       {"train_loss", position_.mean_of(position_.loss_sum)}};
  if (tested) entries.update(test_log_entries(*last_test_));
  entries.update({{"epoch", position_.epoch},
                  {"n_parameters", value_count(model_.parameters())},
                  {"grad_norm", position_.mean_of(position_.norm_sum)},
                  {"skipped_steps", guard_.skipped()}});
  log_epoch(folder_, events, position_.epoch, entries,
            {"train_loss", "train_lr", "test_loss", "test_acc1", "test_acc5"});

  const bool best = tested && last_test_->counts.top1() > position_.best;
  if (best) {
    position_.best = last_test_->counts.top1();
    position_.best_epoch = position_.epoch;
  }
  if (tested)
    info("epoch ", position_.epoch, ": top-1 ", fixed(100 * last_test_->counts.top1(), 2),
         " %, best ", fixed(100 * position_.best, 2), " %");
  position_.next_epoch();
  if (best) save_model(best_classifier);
  if (position_.epoch == options_.epochs) save_model(last_classifier);
  save_state();
}

void Trainer::save_model(const char* name) const {
  save_classifier(folder_.root / name, model_, normalisation_, position_.epoch,
                  sources_.train->class_names());
}

// Weights, moments and position in one file, so that it alone says where to go on.
void Trainer::save_state() const {
  NamedTensors tensors = optimizer_.state();
  for (const Parameter& parameter : model_.parameters())
    tensors.emplace_back(parameter.name, parameter.value);
  const json state{{"position", position_.to_json()},
                   {"guard", guard_.state()},
                   {"images", sources_.train->size()}};
  write_safetensors(folder_.root / last_state, tensors, {{"finetune", state.dump()}});
}

bool Trainer::restore() {
  const fs::path path = folder_.root / last_state;
  if (!fs::exists(path)) return false;
  const TensorFile file = read_safetensors(path);
  try {
    const auto text = file.metadata.find("finetune");
    const json state = json::parse(text == file.metadata.end() ? "" : text->second);
    check(state.at("images") == sources_.train->size(), ExitCode::usage, folder_.root.string(),
          " holds a run on ", state.at("images").dump(), " training images, and there are ",
          sources_.train->size(), " now; choose another --output_dir");
    position_ = Position::from_json(state.at("position"));
    guard_.restore(state.at("guard"));
  } catch (const json::exception&) {
    fail(ExitCode::checkpoint, path.string(), ": damaged; delete it to begin the run anew");
  }
  for (Parameter& parameter : model_.parameters()) {
    const at::Tensor* stored = file.find(parameter.name);
    check(stored && stored->sizes() == parameter.value.sizes(), ExitCode::checkpoint, path.string(),
          ": tensor '", parameter.name,
          "' is missing or does not fit; delete the file to begin the run anew");
    parameter.value.copy_(*stored);
  }
  model_.parameters_changed();
  optimizer_.load(file);
  zero_gradients(model_.parameters());
  info("resumed from ", path.string(), ": epoch ", position_.epoch, ", step ", position_.step);
  return true;
}

// The classifier that `checkpoint` holds, tested.
ordered_json evaluate_only(const FinetuneOptions& options, const Pretrained& file,
                           const LabelledSources& sources) {
  check(file.config.classes > 0, ExitCode::checkpoint, file.path.string(),
        ": holds no classifier; name a run of fine-tuning");
  check(file.config.classes == sources.classes, ExitCode::checkpoint, file.path.string(),
        ": tells ", file.config.classes, " classes apart, and the data set has ", sources.classes,
        "; use the data set it was trained on");
  check(file.class_names.empty() || file.class_names == sources.train->class_names(),
        ExitCode::checkpoint, file.path.string(),
        ": was trained on classes of other names than the data set's; use the data set it was "
        "trained on");
  VitConfig config = file.config;
  if (options.input_size > 0) config.height = config.width = options.input_size;
  check_config(config);
  Vit model(config, 0);
  load_pretrained(file, model);
  place(model, options.device, options.precision);
  try {
    const TestResult test = test_model(model, options, *sources.test, file.normalisation);
    return report_test(options.output_dir, summary(options, sources, test), test, sources);
  } catch (const StopRequested&) {
    fail(ExitCode::interrupted,
         "interrupted; nothing is written, and the same command begins anew");
  }
}

}  // namespace

void FinetuneOptions::declare(Options& o) {
  o.section("model");
  o.add("checkpoint", checkpoint,
        "run folder or model file to begin from, or to test with --eval; empty: from scratch");
  o.add("finetune", finetune, "checkpoint, as MAE's script calls it");
  o.add("model", model,
        "vit_{tiny,small,base,large,huge}_patchN; empty: the checkpoint's, from scratch "
        "vit_base_patch16");
  o.add("input_size", input_size,
        "height and width of the images, in pixels; 0: the checkpoint's, from scratch 224");
  o.add("patch_size", patch_size,
        "from scratch: side of a patch in pixels; 0: by the model's name");
  o.add("dim", dim, "from scratch: width; 0: by the model's name");
  o.add("depth", depth, "from scratch: blocks; 0: by the model's name");
  o.add("heads", heads, "from scratch: attention heads; 0: by the model's name");
  o.add("nb_classes", nb_classes, "classes that the data must have; 0: any number");
  o.add("global_pool", global_pool, "classify the mean of the patch tokens");
  o.add("cls_token", cls_token, "classify the class token instead");
  o.add("drop_path", drop_path,
        "probability that the last block's branches are left out for an image; rises linearly "
        "from 0 at the first");
  data.declare(o);
  o.section("optim");
  o.add("batch_size", batch_size, "images per forward pass");
  o.add("accum_iter", accum_iter, "forward passes per step; the effective batch is the product");
  o.add("epochs", epochs, "passes over the training images");
  o.add("warmup_epochs", warmup_epochs, "epochs of linearly rising learning rate");
  o.add("blr", blr, "base learning rate: lr = blr * effective batch / 256");
  o.add("lr", lr, "learning rate after the warm-up; 0: from blr");
  o.add("min_lr", min_lr, "learning rate at the end");
  o.add("weight_decay", weight_decay, "of AdamW; biases, norms, class token, positions are exempt");
  o.add("layer_decay", layer_decay, "learning rate of a layer over that of the layer above it");
  o.add("clip_grad", clip_grad, "largest gradient norm; 0: gradients are not clipped");
  o.section("augment");
  o.add("aa", aa, "RandAugment policy in timm's spelling, or none");
  o.add("smoothing", smoothing, "share of a label spread over all classes");
  o.add("reprob", reprob, "probability that a rectangle of an image is erased");
  o.add("remode", remode, {{"pixel", EraseMode::pixel}}, "with noise for every pixel");
  o.add("mixup", mixup, "alpha of mixup; 0: not used");
  o.add("cutmix", cutmix, "alpha of cutmix; 0: not used");
  o.add("mixup_prob", mixup_prob, "probability that a batch is mixed");
  o.add("mixup_switch_prob", mixup_switch_prob, "probability of cutmix where both are used");
  o.add("mixup_mode", mixup_mode, {{"batch", MixMode::batch}}, "one draw for a whole batch");
  o.add("crop_min", crop_min, "smallest share of an image's area in a training crop");
  o.add("flip", flip, "mirror half of the training images");
  o.section("run");
  o.add("output_dir", output_dir, "run folder: configuration, logs, checkpoints, result");
  o.add("job_dir", job_dir, "output_dir, as MAE's submitit script calls it");
  o.add("log_dir", log_dir, "folder of TensorBoard events; empty: output_dir");
  o.add("resume", resume,
        "auto: go on where output_dir stopped; none: only start anew; with eval: the checkpoint");
  o.add("eval", eval, "only test the classifier that the checkpoint holds");
  o.add("eval_every", eval_every, "epochs between tests; the last epoch is always tested");
  o.add("seed", seed, "of every random draw");
  declare_compute(o, device, threads, precision);
  o.add("log_every", log_every, "steps between console lines");
  o.add("pin_mem", pin_mem, "hold batches in memory that a GPU copies from directly");
  o.add("dist_eval", dist_eval, "accepted for MAE's command lines; one process tests all images");
  launch.declare(o);
}

nlohmann::ordered_json finetune(FinetuneOptions options, const FinetuneHooks& hooks) {
  if (!options.finetune.empty()) options.checkpoint = std::exchange(options.finetune, "");
  if (!options.job_dir.empty()) options.output_dir = std::exchange(options.job_dir, "");
  if (options.eval && options.checkpoint.empty() && options.resume != "auto")  // as MAE's script
    options.checkpoint = std::exchange(options.resume, "auto");
  check_options(options);
  open_device(options.device);  // refused before files are read
  use_threads(options.threads);
  const StopSignals signals;
  std::optional<Pretrained> start;
  if (!options.checkpoint.empty()) start = read_pretrained(options.checkpoint);
  const LabelledSources sources = open_classes(options.data, options.nb_classes);
  if (options.eval) return evaluate_only(options, *start, sources);
  return Trainer(options, hooks, start, sources).run();
}

}  // namespace sgmae
