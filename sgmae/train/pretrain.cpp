#include "sgmae/train/pretrain.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "sgmae/base/clock.h"
#include "sgmae/base/log.h"
#include "sgmae/io/tensorboard.h"
#include "sgmae/optim/adamw.h"
#include "sgmae/optim/groups.h"
#include "sgmae/optim/schedule.h"
#include "sgmae/train/console.h"
#include "sgmae/train/flops.h"
#include "sgmae/train/guard.h"
#include "sgmae/train/guidance.h"
#include "sgmae/train/signals.h"

namespace sgmae {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
namespace fs = std::filesystem;

constexpr std::size_t states_kept = 2;  // checkpoints from which training can go on

Mae fresh_model(const PretrainOptions& o, const MaeConfig& config) {
  Mae model(config, o.seed);
  place(model, o.device, o.precision);
  return model;
}

LoaderOptions loader_options(const PretrainOptions& o, const MaeConfig& config, at::Device device) {
  LoaderOptions loader;
  loader.pinned = o.pin_mem && device.is_cuda();
  loader.batch_size = o.batch_size;
  loader.num_workers = o.num_workers;
  loader.seed = o.seed;
  loader.height = static_cast<int>(config.height);
  loader.width = static_cast<int>(config.width);
  loader.channels = static_cast<int>(config.channels);
  loader.normalisation = default_normalisation(loader.channels);
  return loader;
}

// Where training stands: everything here is saved, so that a resumed run goes on exactly.
struct Position {
  std::int64_t epoch = 0, step = 0;               // epochs finished; steps finished of the next one
  std::int64_t total_steps = 0;                   // applied or skipped, of the whole run
  double loss_sum = 0, lr_sum = 0, norm_sum = 0;  // over the present epoch's good steps
  std::int64_t good_steps = 0;
  std::int64_t rollbacks = 0;
  double train_loss = 0;  // mean over the last whole epoch

  json to_json() const {
    return {{"epoch", epoch},           {"step", step},           {"total_steps", total_steps},
            {"loss_sum", loss_sum},     {"lr_sum", lr_sum},       {"norm_sum", norm_sum},
            {"good_steps", good_steps}, {"rollbacks", rollbacks}, {"train_loss", train_loss}};
  }
  static Position from_json(const json& j) {
    return {.epoch = j.at("epoch"),
            .step = j.at("step"),
            .total_steps = j.at("total_steps"),
            .loss_sum = j.at("loss_sum"),
            .lr_sum = j.at("lr_sum"),
            .norm_sum = j.at("norm_sum"),
            .good_steps = j.at("good_steps"),
            .rollbacks = j.at("rollbacks"),
            .train_loss = j.at("train_loss")};
  }
  CheckpointName name() const { return {epoch, step}; }
  void next_epoch() {
    ++epoch;
    step = good_steps = 0;
    loss_sum = lr_sum = norm_sum = 0;
  }
  double mean_of(double sum) const {
    return good_steps > 0 ? sum / static_cast<double>(good_steps) : 0;
  }
};

// The maps of a run that is carried on in another folder come along.
void bring_maps(const fs::path& from, const fs::path& to) {
  if (!fs::is_directory(from) || fs::equivalent(from, to)) return;
  fs::copy(from, to, fs::copy_options::skip_existing | fs::copy_options::recursive);
}

class Trainer {
 public:
  Trainer(const PretrainOptions& options, const PretrainHooks& hooks);
  PretrainResult run();

 private:
  void begin();
  void describe() const;
  void train_epoch();
  void take_step(Loader& loader, EpochConsole& console);
  double accumulate_gradients(Loader& loader, EpochConsole& console);
  void finish_epoch(const EpochConsole& console);
  void roll_back();

  void save();
  void restore(const fs::path& model_path);
  void prune() const;
  void stop_if_requested();
  [[noreturn]] void stop();

  bool is_due(std::int64_t every) const;
  ordered_json evaluate() const;
  void log_epoch(const ordered_json& entries);
  ModelInfo model_info() const;
  ModelView view(const ModelInfo& info) const;

  PretrainOptions options_;
  const PretrainHooks& hooks_;
  at::Device device_;
  std::unique_ptr<Source> source_;
  Mae model_;
  LoaderOptions loader_options_;
  std::int64_t steps_per_epoch_;
  AdamW optimizer_;
  Guidance guidance_;
  RunFolder folder_;
  StepGuard guard_;
  EventWriter events_;

  Position position_;
  std::unique_ptr<Loader> loader_;  // made anew after a rollback, with another order of images
  RollbackLimit rollback_limit_;
  std::int64_t last_x_ = -1;  // of TensorBoard
  std::int64_t images_trained_ = 0;
  double seconds_trained_ = 0, seconds_waited_ = 0;
};

std::int64_t whole_steps(const Source& source, const PretrainOptions& o) {
  const std::int64_t effective = o.batch_size * o.accum_iter;
  check(source.size() >= effective, ExitCode::usage, o.data_path, " holds ", source.size(),
        " images, fewer than one step takes (batch_size ", o.batch_size, " x accum_iter ",
        o.accum_iter, "); lower --batch_size or --accum_iter");
  // As MAE, an epoch leaves out the images that do not fill a batch, and here also the batches that
  // do not fill a step, so that every epoch begins with empty gradients.
  return source.size() / o.batch_size / o.accum_iter;
}

Trainer::Trainer(const PretrainOptions& options, const PretrainHooks& hooks)
    : options_(options),
      hooks_(hooks),
      device_(open_device(options_.device)),
      source_(open_source(options_.data_path, "train", options_.data_root, options_.data_format)),
      model_(fresh_model(options_, model_config(options_, source_->native_channels()))),
      loader_options_(loader_options(options_, model_.config(), device_)),
      steps_per_epoch_(whole_steps(*source_, options_)),
      optimizer_(model_.parameters(), AdamWOptions{.weight_decay = options_.weight_decay}),
      guidance_(options_, *source_, loader_options_, model_, RunFolder{options_.output_dir}),
      folder_(open_run_folder(options_)),  // late, so that what is refused before leaves no trace
      guard_(options_.outlier_z),
      events_(options_.log_dir.empty() ? folder_.root : fs::path(options_.log_dir)) {
  position_.epoch = options_.start_epoch;
}

PretrainResult Trainer::run() {
  const LogFile log(folder_.messages());
  begin();
  while (position_.epoch < options_.epochs) train_epoch();
  if (guidance_.self_guided() && !guidance_.start())
    warn("guidance never began: all masks of this run were random");
  const double rate =
      seconds_trained_ > 0 ? static_cast<double>(images_trained_) / seconds_trained_ : 0;
  return {.folder = folder_.root,
          .checkpoint = folder_.checkpoints() / position_.name().file(),
          .train_loss = position_.train_loss,
          .guide_start = guidance_.start(),
          .guide_reason = guidance_.reason(),
          .skipped_steps = guard_.skipped(),
          .rollbacks = position_.rollbacks,
          .images_per_second = rate,
          .data_wait = seconds_trained_ > 0 ? seconds_waited_ / seconds_trained_ : 0};
}

// A run without a checkpoint begins by writing one, so that there is always one to roll back to.
void Trainer::begin() {
  const auto own = list_checkpoints(folder_.checkpoints(), true);
  if (!own.empty()) {
    restore(folder_.checkpoints() / own.back().file());
  } else if (options_.resume != "auto" && options_.resume != "none") {
    restore(options_.resume);
  }
  describe_run(folder_, options_,
               {{"threads", at::get_num_threads()},
                {"device", device_.str()},
                {"precision", name_of(model_.encoder().precision())}});
  trim_log(folder_.log(), position_.epoch);
  describe();
  if (!own.empty()) return;
  save();
  if (options_.knn_every > 0) evaluate();
}

void Trainer::describe() const {
  const MaeConfig& c = model_.config();
  const std::int64_t values = value_count(model_.parameters());
  info("model: ", c.height, "x", c.width, "x", c.channels, " images, patch ", c.patch_size,
       ", encoder ", c.encoder.dim, " x ", c.encoder.depth, ", decoder ", c.decoder.dim, " x ",
       c.decoder.depth, ", ", fixed(static_cast<double>(values) * 1e-6, 2), " M parameters");
  info("data: ", source_->size(), " images; ", steps_per_epoch_, " steps of ",
       options_.batch_size * options_.accum_iter, " images per epoch");
  info("lr ", peak_lr(options_), ", weight decay ", options_.weight_decay, ", ", options_.epochs,
       " epochs, ", compute_name(model_.encoder()));
  info("run folder: ", folder_.root.string());
}

void Trainer::train_epoch() {
  stop_if_requested();
  try {
    if (guidance_.begin_epoch(position_.epoch)) save();
  } catch (const StopRequested&) {
    stop();
  }
  if (position_.step == 0 && guidance_.changes_masks(position_.epoch)) guard_.forget();

  if (!loader_) {
    LoaderOptions loader = loader_options_;
    loader.seed = order_seed(loader.seed, position_.rollbacks);
    loader_ = std::make_unique<Loader>(*source_, loader);
  }
  loader_->start_epoch(position_.epoch, position_.step * options_.accum_iter);
  EpochConsole console{
      .epoch = position_.epoch,
      .epochs = options_.epochs,
      .batches = steps_per_epoch_ * options_.accum_iter,
      .log_every = options_.log_every,
      .images_per_batch = options_.batch_size,
      .flop_per_image = training_flop_per_image(
          model_.config(), visible_count(model_.config().n_patches(), options_.mask_ratio))};
  while (position_.step < steps_per_epoch_) {
    take_step(*loader_, console);
    if (guard_.spoiled()) return roll_back();
    if (position_.step < steps_per_epoch_) stop_if_requested();
  }
  finish_epoch(console);
}

void Trainer::take_step(Loader& loader, EpochConsole& console) {
  const double fraction =
      static_cast<double>(position_.step) / static_cast<double>(steps_per_epoch_);
  const double epoch = static_cast<double>(position_.epoch) + fraction;
  const double lr = learning_rate({.peak_lr = peak_lr(options_),
                                   .min_lr = options_.min_lr,
                                   .warmup_epochs = options_.warmup_epochs,
                                   .epochs = static_cast<double>(options_.epochs)},
                                  epoch);
  console.lr = lr;
  const double loss = accumulate_gradients(loader, console);
  const double norm = gradient_norm(model_.parameters());
  const StepVerdict verdict = guard_.judge(loss, norm);
  if (verdict == StepVerdict::good) {
    const bool clipped = options_.clip_grad > 0 && norm > options_.clip_grad;
    optimizer_.step(lr, clipped ? options_.clip_grad / norm : 1.0);
    model_.parameters_changed();
    position_.loss_sum += loss;
    position_.lr_sum += lr;
    position_.norm_sum += norm;
    ++position_.good_steps;
  } else {
    zero_gradients(model_.parameters());
    warn("epoch ", position_.epoch, ", step ", position_.step, " skipped: loss ", loss,
         ", gradient norm ", norm,
         verdict == StepVerdict::outlier ? " far above their recent values" : "");
  }
  ++position_.step;
  ++position_.total_steps;
  // MAE's x axis, which does not depend on the batch size.
  const auto x = static_cast<std::int64_t>(1000 * epoch);
  if (x != last_x_) {
    events_.scalar("train_loss", loss, x);
    events_.scalar("lr", lr, x);
    last_x_ = x;
  }
  if (hooks_.after_step) hooks_.after_step({position_.epoch, position_.step, loss});
}

// Mean loss of the step's batches; their gradients are summed with weight 1 / accum_iter.
double Trainer::accumulate_gradients(Loader& loader, EpochConsole& console) {
  double sum = 0;
  Batch batch;
  for (std::int64_t i = 0; i < options_.accum_iter; ++i) {
    const double begun = seconds_now();
    const bool more = loader.next(batch);
    SGMAE_ASSERT(more);
    const double loaded = seconds_now();
    const MaskPlan plan = guidance_.plan(batch, position_.epoch);
    const double loss =
        model_.forward_backward(batch.pixels, plan, 1.0 / static_cast<double>(options_.accum_iter))
            .mean.item<double>();
    const double done = seconds_now();
    sum += loss;
    console.loss.add(loss);
    console.data.add(loaded - begun);
    console.time.add(done - begun);
    console.device_memory = peak_device_memory(device_);
    console.show(position_.step * options_.accum_iter + i + 1);
    images_trained_ += batch.size();
    seconds_trained_ += done - begun;
    seconds_waited_ += loaded - begun;
  }
  return sum / static_cast<double>(options_.accum_iter);
}

bool Trainer::is_due(std::int64_t every) const {
  return every > 0 && (position_.epoch % every == 0 || position_.epoch == options_.epochs);
}

void Trainer::finish_epoch(const EpochConsole& console) {
  const std::int64_t epoch = position_.epoch;
  guidance_.end_epoch(epoch);
  position_.train_loss = position_.mean_of(position_.loss_sum);
  ordered_json entries{
      {"train_loss", position_.train_loss},
      {"train_lr", position_.mean_of(position_.lr_sum)},
      {"epoch", epoch},
      {"grad_norm", position_.mean_of(position_.norm_sum)},
      {"img_per_s", console.images_per_second()},
      {"tflop_per_s", console.images_per_second() * console.flop_per_image * 1e-12},
      {"data_wait_frac", console.data_wait()},
      {"skipped_steps", guard_.skipped()},
      {"unreadable_images", loader_->stats().unreadable}};
  entries.update(guidance_.log_entries());
  position_.next_epoch();
  if (is_due(options_.knn_every)) entries.update(evaluate());
  log_epoch(entries);
  if (is_due(options_.save_every) || hooks_.save_after.count(position_.epoch) > 0) save();
}

void Trainer::log_epoch(const ordered_json& entries) {
  append_log(folder_.log(), entries);
  const std::int64_t x = 1000 * position_.epoch;
  for (const auto& [key, value] : entries.items()) {
    if (key == "train_loss" || key == "train_lr" || key == "epoch") continue;
    const bool of_mask = key.starts_with("mask_") || key.starts_with("guide_");
    const std::string tag =
        (of_mask ? "mask/" : "perf/") + (key.starts_with("mask_") ? key.substr(5) : key);
    if (value.is_number()) events_.scalar(tag, value.get<double>(), x);
    if (!value.is_array()) continue;
    for (std::size_t layer = 0; layer < value.size(); ++layer)
      events_.scalar(str(tag, "/", layer), value[layer].get<double>(), x);
  }
  events_.flush();
}

ordered_json Trainer::evaluate() const {
  if (!hooks_.evaluate) return ordered_json::object();
  return hooks_.evaluate(view(model_info()));
}

ModelInfo Trainer::model_info() const {
  return {.mean = loader_options_.normalisation.mean,
          .std = loader_options_.normalisation.std,
          .epoch = position_.epoch,
          .step = position_.step,
          .version = "",
          .guide = guidance_.description(),
          .position_mean = guidance_.position_mean()};
}

ModelView Trainer::view(const ModelInfo& info) const {
  return {model_, info, options_, *source_, loader_options_, folder_};
}

// The state goes first: a model file without one is never resumed from, a state without a model is
// never looked at.
void Trainer::save() {
  const ModelInfo info = model_info();
  const CheckpointName name = position_.name();
  NamedTensors tensors = optimizer_.state();
  if (info.position_mean.defined()) tensors.emplace_back(position_mean_name, info.position_mean);
  const json state{{"position", position_.to_json()},
                   {"guard", guard_.state()},
                   {"guidance", guidance_.state()},
                   {"images", source_->size()}};
  write_safetensors(folder_.checkpoints() / name.state(), tensors, {{"trainer", state.dump()}});
  save_mae(folder_.checkpoints() / name.file(), model_, info);
  prune();
  if (hooks_.after_save) hooks_.after_save(view(info), folder_.checkpoints() / name.file());
}

// Removes what nothing needs any more: checkpoints inside epochs once there is a later one, those
// beyond keep_checkpoints, the state of all but the newest, and maps that these were not guided by.
void Trainer::prune() const {
  const auto names = list_checkpoints(folder_.checkpoints(), false);
  std::int64_t newer = 0;
  for (auto name = names.rbegin(); name != names.rend(); ++name, ++newer) {
    if (newer >= static_cast<std::int64_t>(states_kept))
      fs::remove(folder_.checkpoints() / name->state());
    const bool made_maps = name->step == 0 && guidance_.maps_epoch() == name->epoch;
    const bool passing = name->step > 0 || name->epoch == 0;
    const bool surplus = options_.keep_checkpoints > 0 && newer >= options_.keep_checkpoints;
    if (made_maps || newer == 0 || !(passing || surplus)) continue;
    fs::remove(folder_.checkpoints() / name->state());
    fs::remove(folder_.checkpoints() / name->file());
  }
  std::vector<std::int64_t> epochs;
  for (const CheckpointName& name : list_checkpoints(folder_.checkpoints(), true))
    epochs.push_back(name.epoch);
  guidance_.prune_maps(epochs);
}

void Trainer::restore(const fs::path& model_path) {
  const auto name = parse_checkpoint_name(model_path.filename().string());
  const fs::path folder = model_path.parent_path();
  check(fs::exists(model_path), ExitCode::checkpoint, model_path.string(),
        ": no such checkpoint to resume from");
  check(name && fs::exists(folder / name->state()), ExitCode::checkpoint, model_path.string(),
        ": training cannot go on from it, since its .state.safetensors is not beside it; use a "
        "checkpoint that has one");
  load_weights(model_path, model_);
  const fs::path state_path = folder / name->state();
  const TensorFile file = read_safetensors(state_path);
  const auto text = file.metadata.find("trainer");
  check(text != file.metadata.end(), ExitCode::checkpoint, state_path.string(),
        ": not a training state; delete this checkpoint to go on from the one before");
  try {
    const json state = json::parse(text->second);
    check(state.at("images") == source_->size(), ExitCode::checkpoint, state_path.string(),
          ": the data set had ", state.at("images").dump(), " images and now has ", source_->size(),
          "; give --data_path of the same data");
    position_ = Position::from_json(state.at("position"));
    guard_.restore(state.at("guard"));
    bring_maps(folder.parent_path() / "maps", folder_.maps());
    const at::Tensor* mean = file.find(position_mean_name);
    guidance_.restore(state.at("guidance"), mean ? *mean : at::Tensor());
  } catch (const json::exception&) {
    fail(ExitCode::checkpoint, state_path.string(),
         ": damaged; delete this checkpoint to go on from the one before");
  }
  optimizer_.load(file);
  zero_gradients(model_.parameters());
  info("resumed from ", model_path.string(), ": epoch ", position_.epoch, ", step ",
       position_.step);
}

void Trainer::roll_back() {
  const CheckpointName target = list_checkpoints(folder_.checkpoints(), true).back();
  const std::string where = str("epoch ", position_.epoch, ", step ", position_.step);
  rollback_limit_.count(target.file(), where, diverged_advice);
  const std::int64_t rollbacks = position_.rollbacks + 1;
  warn(StepGuard::spoiled_after, " bad steps in a row at ", where, ": rolling back to ",
       target.file(), " and going on with another order of images");
  const StepGuard guard = guard_;
  restore(folder_.checkpoints() / target.file());
  guard_ = guard;  // keeps counting
  guard_.forget();
  trim_log(folder_.log(), position_.epoch);
  position_.rollbacks = rollbacks;
  loader_.reset();
}

void Trainer::stop_if_requested() {
  if (stop_requested()) stop();
}

void Trainer::stop() {
  save();
  fail(ExitCode::interrupted, "interrupted; ",
       (folder_.checkpoints() / position_.name().file()).string(),
       " is written, and the same command goes on from there");
}

}  // namespace

PretrainResult pretrain(PretrainOptions options, const PretrainHooks& hooks) {
  if (!options.job_dir.empty()) options.output_dir = std::exchange(options.job_dir, "");
  if (options.online_knn_every > 0) options.knn_every = std::exchange(options.online_knn_every, 0);
  check_options(options);
  use_threads(options.threads);
  const StopSignals signals;
  return Trainer(options, hooks).run();
}

ordered_json to_json(const PretrainResult& result) {
  ordered_json j{{"folder", result.folder.string()},    {"checkpoint", result.checkpoint.string()},
                 {"train_loss", result.train_loss},     {"guide_start", nullptr},
                 {"guide_reason", result.guide_reason}, {"skipped_steps", result.skipped_steps},
                 {"rollbacks", result.rollbacks},       {"img_per_s", result.images_per_second},
                 {"data_wait_frac", result.data_wait}};
  if (result.guide_start) j["guide_start"] = *result.guide_start;
  return j;
}

}  // namespace sgmae
