#include "sgmae/train/engine.h"

#include <ATen/Parallel.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/stack.h>

#include <cmath>
#include <utility>

#include "sgmae/base/clock.h"
#include "sgmae/base/counted.h"
#include "sgmae/base/file.h"
#include "sgmae/base/host.h"
#include "sgmae/base/instruction_set.h"
#include "sgmae/base/json.h"
#include "sgmae/base/log.h"
#include "sgmae/base/signals.h"
#include "sgmae/nn/device.h"
#include "sgmae/nn/ops.h"
#include "sgmae/optim/groups.h"
#include "sgmae/parallel/process_group.h"
#include "sgmae/train/checkpoint.h"

namespace sgmae {

using nlohmann::ordered_json;
namespace fs = std::filesystem;

namespace {

// Tensors [] as numbers. Those on a device come together, so that the host waits for it once.
std::vector<double> numbers(const std::vector<at::Tensor>& values) {
  std::vector<at::Tensor> far;
  for (const at::Tensor& value : values)
    if (!value.is_cpu()) far.push_back(value.to(at::kDouble));
  const at::Tensor brought = far.empty() ? at::Tensor() : at::stack(far).cpu();
  std::vector<double> read;
  std::int64_t next = 0;
  for (const at::Tensor& value : values)
    read.push_back(value.is_cpu() ? value.item<double>()
                                  : brought.const_data_ptr<double>()[next++]);
  return read;
}

// The path that process 0 finds, in every process.
template <class Find>
fs::path found_by_leader(const Find& find) {
  fs::path found;
  processes().leader([&] { found = find(); });
  return processes().of_leader(found.string());
}

// While it lives, a second Ctrl-C would lose steps.
struct Training {
  Training() { set_steps_at_stake(0); }
  ~Training() { set_steps_at_stake(-1); }
};

}  // namespace

std::int64_t whole_steps(std::int64_t images, const OptimOptions& o) {
  const std::int64_t steps = images / o.images_per_step();
  const int together = processes().size();
  check(steps >= 1, ExitCode::usage, "there are only ", images,
        " training images, fewer than one step needs (batch_size ", o.batch_size, " x accum_iter ",
        o.accum_iter, together > 1 ? str(" x ", together, " processes") : "",
        "); lower --batch_size or --accum_iter");
  return steps;
}

Engine::Engine(TrainTask& task, EngineOptions options, RunFolder folder, const EngineHooks& hooks)
    : task_(task),
      options_(std::move(options)),
      optim_(options_.optim),
      run_(options_.run),
      hooks_(hooks),
      folder_(std::move(folder)),
      store_(folder_, options_.kind, options_.layout, run_.keep_checkpoints),
      guard_(run_.outlier_z),
      clock_{.steps_per_epoch = whole_steps(task.training_images().size(), optim_),
             .epoch = options_.start_epoch} {
  processes().leader(
      [&] { events_.emplace(run_.log_dir.empty() ? folder_.root : fs::path(run_.log_dir)); });
  if (processes().size() == 1) return;
  processes().meet_on(task_.learners().front()->parameters->front().value.device());
  for (Learner* learner : task_.learners()) {
    exchanges_.emplace_back(*learner->parameters,
                            ExchangeOptions{.sharded = learner->optimizer->sharded(),
                                            .precision = optim_.exchange_precision});
    if (learner->changed) learner->changed();
  }
}

EngineResult Engine::run() {
  const LogFile log(processes().leads() ? folder_.messages() : fs::path());
  const Training training;
  try {
    check_alike();
    begin();
    while (clock_.epoch < optim_.epochs) run_epoch();
    if (task_.ends_with_evaluation() && !result_.last) result_.last = evaluate(clock_.epoch);
  } catch (const StopRequested&) {
    stop();
  } catch (const Error& error) {
    if (error.code() != ExitCode::data || !loader_) throw;
    stop_without_data(error);
  }
  happened("finished");
  result_.clock = clock_;
  result_.skipped_steps = guard_.skipped();
  if (seconds_trained_ > 0) {
    result_.images_per_second = static_cast<double>(images_trained_) / seconds_trained_;
    result_.data_wait = seconds_waited_ / seconds_trained_;
  }
  return result_;
}

// A run without a checkpoint begins by writing one, so that there is always one to roll back to.
void Engine::begin() {
  const nlohmann::json before = facts_of_before();
  const fs::path own = found_by_leader([&] {
    check_same_steps(before);
    return store_.newest().value_or("");
  });
  const fs::path named = found_by_leader([&]() -> fs::path {
    if (!own.empty()) return "";
    if (run_.resume != "auto" && run_.resume != "none") return store_.named(run_.resume);
    if (folder_.existed)
      warn(folder_.root.string(), " contains a run without any checkpoint: training starts over");
    return "";
  });
  result_.checkpoint = own;
  const auto epochs_before = json_value<std::int64_t>(before, "epochs");
  if (const fs::path& from = own.empty() ? named : own; !from.empty()) restore(from);
  if (epochs_before && *epochs_before < optim_.epochs) tell_longer(*epochs_before);
  const ordered_json facts = this->facts();
  const ordered_json members = this->members();
  processes().leader([&] {
    if (!events_) return;
    ordered_json environment{{"threads", at::get_num_threads()},
                             {"device", task_.device().str()},
                             {"precision", facts.at("precision")}};
    if (processes().size() > 1) environment["processes"] = members;
    describe_run(folder_, options_.config, run_.seed, environment);
    write_file(folder_.facts(), facts.dump(2) + "\n");
    trim_log(folder_.log(), clock_.epoch);
    // The first of a run is passed over by TensorBoard, and older versions wrote none.
    events_->begin_again(event_x());
    if (folder_.existed) events_->begin_again(event_x());
  });
  for (const char* key : {"model", "data", "training", "masks"})
    if (facts.contains(key)) info(key, ": ", facts.at(key).get<std::string>());
  info("run folder: ", folder_.root.string());
  if (clock_.epoch < optim_.epochs)
    if (const std::string expected = task_.expectation(clock_); !expected.empty())
      info("expected: ", expected);
  if (!own.empty()) {
    processes().leader([&] {
      if (hooks_.after_save) hooks_.after_save(own, clock_);
    });
    return;
  }
  happened("began");
  save();
  if (!task_.ends_with_evaluation() && run_.eval_every > 0)
    result_.first = result_.last = evaluate(clock_.epoch);
}

// run.json of the run that the folder holds; null where there is none.
nlohmann::json Engine::facts_of_before() const {
  if (!folder_.existed || !fs::exists(folder_.facts())) return {};
  return nlohmann::json::parse(read_text(folder_.facts()), nullptr, /*allow_exceptions=*/false);
}

// A run may go on with other processes, but in the same steps.
void Engine::check_same_steps(const nlohmann::json& before) const {
  const auto images = json_value<std::int64_t>(before, "images_per_epoch");
  const auto steps = json_value<std::int64_t>(before, "steps_per_epoch");
  if (!images || !steps || *steps < 1 || *images / *steps == optim_.images_per_step()) return;
  const std::int64_t there = *images / *steps, pass = optim_.batch_size * processes().size();
  fail(ExitCode::usage, folder_.root.string(), " contains a run whose steps are of ", there,
       " images, but now they are of ", optim_.images_per_step(), " (batch_size ",
       optim_.batch_size, " x accum_iter ", optim_.accum_iter, " x ", processes().size(),
       " processes); ",
       there % pass == 0 ? str("give --accum_iter ", there / pass)
                         : std::string("start as many processes as divide them"),
       ", or choose another --output_dir");
}

void Engine::tell_longer(std::int64_t epochs_before) {
  const Schedule& schedule = task_.learners().front()->schedule;
  Schedule before = schedule;
  before.epochs = static_cast<double>(epochs_before);
  info("the run is made longer, from ", counted(epochs_before, "epoch"), " to ", optim_.epochs,
       ": its learning rate goes on as that of a run of ", counted(optim_.epochs, "epoch"),
       ", from ", learning_rate(schedule, clock_.progress()), " where it was ",
       learning_rate(before, clock_.progress()),
       "; the result is not that of a run that was so long from the start");
  happened("made longer", {{"from", epochs_before}, {"to", optim_.epochs}});
}

// Host, device and threads of every process.
ordered_json Engine::members() const {
  const ordered_json self{
      {"host", host_name()}, {"device", task_.device().str()}, {"threads", at::get_num_threads()}};
  ordered_json all = ordered_json::array();
  for (const std::string& one : processes().gather(self.dump()))
    all.push_back(ordered_json::parse(one));
  return all;
}

// What would make processes drift apart, or wait for each other for ever, is found before it does.
void Engine::check_alike() const {
  if (processes().size() == 1) return;
  const Source& images = task_.training_images();
  ordered_json self{{"training images", images.size()},
                    {"digest of names and sizes of the images", data_hash(images)},
                    {"model", task_.facts().at("model")},
                    {"precision", task_.facts().at("precision")},
                    {"batch_size", optim_.batch_size},
                    {"accum_iter", optim_.accum_iter},
                    {"epochs", optim_.epochs},
                    {"seed", run_.seed},
                    {"instructions", std::string(name_of(instruction_set()))}};
  const std::vector<std::string> all = processes().gather(self.dump());
  const ordered_json first = ordered_json::parse(all.front());
  for (int rank = 1; rank < processes().size(); ++rank) {
    const ordered_json other = ordered_json::parse(all[static_cast<std::size_t>(rank)]);
    for (const auto& [key, value] : first.items())
      check(other.at(key) == value, ExitCode::usage, processes().name(rank), " has ",
            other.at(key).dump(), " as ", key, ", but ", processes().name(0), " has ", value.dump(),
            "; all must be alike",
            key == "instructions" ? str(": set SGMAE_ISA to the lesser of the two everywhere")
                                  : std::string());
  }
}

ordered_json Engine::facts() const {
  ordered_json facts{{"kind", options_.kind}};
  facts.update(task_.facts());
  if (const int together = processes().size(); together > 1)
    facts["training"] = str(together, " processes, each ", facts.at("training").get<std::string>());
  facts["data"] = str(facts.at("data").get<std::string>(), "; ", clock_.steps_per_epoch,
                      " steps of ", optim_.images_per_step(), " images per epoch");
  facts["training"] =
      str(facts.at("training").get<std::string>(), ", lr ", peak_lr(optim_), ", weight decay ",
          optim_.weight_decay, ", ", counted(optim_.epochs, "epoch"));
  facts.update({{"training_images", task_.training_images().size()},
                {"images_per_epoch", clock_.steps_per_epoch * optim_.images_per_step()},
                {"steps_per_epoch", clock_.steps_per_epoch},
                {"processes", processes().size()},
                {"epochs", optim_.epochs},
                {"n_parameters", parameter_count()}});
  return facts;
}

std::int64_t Engine::parameter_count() const {
  return value_count(*task_.learners().front()->parameters);
}

void Engine::restore(const fs::path& path) {
  store_.restore(path, task_, clock_, guard_);
  processes().wait_for_all();  // before anybody changes what another one reads
  const bool own = path == result_.checkpoint;
  check(own || clock_.epoch < optim_.epochs, ExitCode::usage, path.string(), " is trained for ",
        counted(clock_.epoch, "epoch"), ", and epochs is ", optim_.epochs,
        "; give a larger --epochs, or an earlier checkpoint");
  if (own && clock_.epoch >= optim_.epochs) {
    events_.reset();  // what ended is not recorded again
    info(folder_.root.string(), ": finished already, ", counted(clock_.epoch, "epoch"),
         "; a larger --epochs trains on");
    return;
  }
  if (!own) clock_.best = TrainClock().best, clock_.best_epoch = 0;  // whose model is not here
  info("resumed from ", path.string(), ": ", where());
  happened("resumed", {{"from", path.string()}});
}

void Engine::run_epoch() {
  EpochConsole console{.epoch = clock_.epoch,
                       .epochs = optim_.epochs,
                       .batches = clock_.steps_per_epoch * optim_.accum_iter,
                       .log_every = run_.log_every,
                       .images_per_batch = optim_.batch_size * processes().size(),
                       .flop_per_image = task_.flop_per_image()};
  std::string reason = str(StepGuard::spoiled_after, " bad steps in a row");
  try {
    if (train_epoch(console)) {
      finish_epoch(console);
      return;
    }
  } catch (const Error& error) {
    if (error.code() != ExitCode::diverged) throw;
    reason = error.what();
  }
  roll_back(reason);
}

bool Engine::stop_wanted() const {
  return processes().size() == 1 ? stop_requested() : all_stop_;
}

bool Engine::train_epoch(EpochConsole& console) {
  processes().together([] {
    if (stop_requested()) throw StopRequested();
  });
  const EpochStart start = task_.before_epoch(clock_.epoch);
  for (const std::string& sentence : start.news) {
    info(sentence);
    happened("masks", {{"text", sentence}});
  }
  if (clock_.step == 0 && start.losses_do_not_compare) guard_.forget();
  if (start.save_now) save();
  if (!loader_) {
    LoaderOptions loader = task_.training_loader();
    loader.seed = order_seed(run_.seed, clock_.rollbacks);
    loader.share = {processes().rank(), processes().size()};
    loader_ = std::make_unique<Loader>(task_.training_images(), loader);
  }
  loader_->start_epoch(clock_.epoch, clock_.step * optim_.accum_iter * processes().size());
  while (clock_.step < clock_.steps_per_epoch) {
    if (stop_wanted()) throw StopRequested();
    take_step(console);
    if (guard_.spoiled()) return false;
  }
  return true;
}

double Engine::Measured::loss() const {
  double sum = 0;
  for (const double loss : losses) sum += loss;
  return sum / static_cast<double>(losses.size());
}

double Engine::Measured::judged_norm() const {
  for (const double norm : norms)
    if (!std::isfinite(norm)) return norm;
  return norms.front();
}

void Engine::take_step(EpochConsole& console) {
  const double begun = seconds_now(), waited_before = seconds_waited_, progress = clock_.progress();
  const Measured measured = accumulate_gradients();
  const double loss = measured.loss(), norm = measured.norms.front();
  console.lr = learning_rate(task_.learners().front()->schedule, progress);
  const StepVerdict verdict = guard_.judge(loss, measured.judged_norm());
  const bool good = verdict == StepVerdict::good;
  if (good) {
    apply(measured, progress);
    clock_.sums.add(loss, console.lr, norm);
    set_steps_at_stake(++good_steps_);
  } else {
    for (Learner* learner : task_.learners()) zero_gradients(*learner->parameters);
    if (events_)
      warn(where(), " skipped: loss ", loss, ", gradient norm ", norm,
           verdict == StepVerdict::outlier ? " far above their recent values" : "");
    happened("skipped", {{"loss", loss}, {"grad_norm", norm}});
  }
  const double seconds = seconds_now() - begun;
  seconds_trained_ += seconds;
  images_trained_ += optim_.images_per_step();
  console.device_memory = peak_device_memory(task_.device());
  const double batches = static_cast<double>(optim_.accum_iter);
  for (std::int64_t i = 0; i < optim_.accum_iter; ++i) {
    console.loss.add(measured.losses[static_cast<std::size_t>(i)]);
    console.data.add((seconds_waited_ - waited_before) / batches);
    console.time.add(seconds / batches);
    if (events_) console.show(clock_.step * optim_.accum_iter + i + 1);
  }
  ++clock_.step;
  ++clock_.total_steps;
  tell_time_left();
  if (const auto x = static_cast<std::int64_t>(1000 * progress); events_ && x != last_x_) {
    events_->scalar("train_loss", loss, x);
    events_->scalar("lr", console.lr, x);
    last_x_ = x;
  }
  const StepDone done{clock_.epoch, clock_.step, loss, good};
  task_.after_step(done);
  if (hooks_.after_step) hooks_.after_step(done);
}

// Once, after the first minute, when the speed of this process has settled.
void Engine::tell_time_left() {
  constexpr double minute = 60;
  if (told_time_left_ || seconds_trained_ < minute) return;
  told_time_left_ = true;
  const double steps = static_cast<double>(images_trained_ / optim_.images_per_step());
  const double left = seconds_trained_ / steps *
                      (static_cast<double>(optim_.epochs) - clock_.progress()) *
                      static_cast<double>(clock_.steps_per_epoch);
  info("after a minute of training: ", clock_text(left), " left for the run, until about ",
       utc_text(std::time(nullptr) + static_cast<std::time_t>(left)));
}

void Engine::apply(const Measured& measured, double progress) {
  const std::vector<Learner*> learners = task_.learners();
  for (std::size_t i = 0; i < learners.size(); ++i) {
    Learner& learner = *learners[i];
    const double norm = measured.norms[i];
    const bool clipped = learner.clip_grad > 0 && norm > learner.clip_grad;
    learner.optimizer->step(learning_rate(learner.schedule, progress),
                            clipped ? learner.clip_grad / norm : 1.0);
    if (!exchanges_.empty()) exchanges_[i].spread_values();
    if (learner.changed) learner.changed();
  }
}

// The gradients of the step's batches are summed, each with weight 1 / (accum_iter * processes).
// The host waits for the device once, for all that has to be known there.
Engine::Measured Engine::accumulate_gradients() {
  std::vector<at::Tensor> values;
  Told told = own_gradients(values);
  for (GradientExchange& exchange : exchanges_) exchange.finish();
  const auto passes = static_cast<std::ptrdiff_t>(values.size());
  const std::vector<Learner*> learners = task_.learners();
  for (std::size_t i = 0; i < learners.size(); ++i)
    values.push_back(!exchanges_.empty() && exchanges_[i].sharded()
                         ? gradient_norm(exchanges_[i].own_gradients())
                         : gradient_norm(*learners[i]->parameters));
  const std::vector<double> read = numbers(values);
  told.losses.assign(read.begin(), read.begin() + passes);
  told.norms.assign(read.begin() + passes, read.end());
  agree(told);
  return {told.losses, told.norms};
}

// The batches of this process. Where their images are gone, it takes part in the exchange all the
// same, so that the others hear of it there.
Engine::Told Engine::own_gradients(std::vector<at::Tensor>& losses) {
  Told told;
  told.stop = stop_requested();
  const std::int64_t together = processes().size();
  try {
    Batch batch;
    for (std::int64_t i = 0; i < optim_.accum_iter; ++i) {
      const double begun = seconds_now();
      const bool more = loader_->next(batch);
      SGMAE_ASSERT(more);
      seconds_waited_ += seconds_now() - begun;
      StepPlace place{
          .seed = run_.seed,
          .epoch = clock_.epoch,
          .batch = (clock_.step * optim_.accum_iter + i) * together + processes().rank(),
          .loss_scale = 1.0 / static_cast<double>(optim_.accum_iter * together)};
      if (i == optim_.accum_iter - 1 && !exchanges_.empty()) {
        for (GradientExchange& exchange : exchanges_) exchange.begin();
        place.ready = exchanges_.front().ready();
      }
      losses.push_back(task_.forward_backward(batch, place));
    }
  } catch (const Error& error) {
    if (exchanges_.empty() || error.code() == ExitCode::process_lost ||
        task_.passes_are_collective())
      throw;
    told.error = std::current_exception();
    losses.assign(static_cast<std::size_t>(optim_.accum_iter), at::scalar_tensor(0, at::kDouble));
  }
  return told;
}

// Sums of numbers and of flags, so that all processes go on alike: a loss that is not a number
// stays one in a sum. Of sharded gradients each process knows the norm of its shard.
void Engine::agree(Told& told) {
  if (exchanges_.empty()) return;
  std::vector<double> sums = told.losses;
  for (std::size_t i = 0; i < exchanges_.size(); ++i)
    sums.push_back(exchanges_[i].sharded() ? told.norms[i] * told.norms[i] : 0.0);
  sums.insert(sums.end(), {told.stop ? 1.0 : 0.0, told.error ? 1.0 : 0.0});
  processes().sum(
      at::from_blob(sums.data(), {static_cast<std::int64_t>(sums.size())}, at::kDouble));
  const double failed = sums.back();
  all_stop_ = sums[sums.size() - 2] > 0;
  for (std::size_t i = 0; i < told.losses.size(); ++i)
    told.losses[i] = sums[i] / static_cast<double>(processes().size());
  for (std::size_t i = 0; i < exchanges_.size(); ++i)
    if (exchanges_[i].sharded()) told.norms[i] = std::sqrt(sums[told.losses.size() + i]);
  if (failed > 0)
    processes().together([&] {
      if (told.error) std::rethrow_exception(told.error);
    });
}

std::optional<EvaluationResult> Engine::evaluate(std::int64_t epochs) {
  const auto result = task_.evaluate(epochs);  // the same in every process
  if (!result) return result;
  info(result->headline, " after ", counted(epochs, "epoch"), ": ", fixed(100 * result->value, 2),
       " %", clock_.best >= 0 ? str(", best before ", fixed(100 * clock_.best, 2), " %") : "");
  happened("evaluated", {{"measure", result->headline}, {"value", result->value}});
  return result;
}

// An epoch counts as finished only when it is evaluated, so that one interrupted in its evaluation
// is evaluated again.
void Engine::finish_epoch(const EpochConsole& console) {
  const std::int64_t epoch = clock_.epoch, finished = epoch + 1;
  const auto due = [&](std::int64_t every) {
    return every > 0 && (finished % every == 0 || finished == optim_.epochs);
  };
  std::optional<EvaluationResult> found;
  if (due(run_.eval_every) || (task_.ends_with_evaluation() && finished == optim_.epochs))
    found = evaluate(finished);
  const ordered_json own = task_.after_epoch(epoch);

  const StepSums& sums = clock_.sums;
  ordered_json entries{{"train_loss", sums.mean(sums.loss)}, {"train_lr", sums.mean(sums.lr)}};
  if (found) entries.update(found->entries);
  entries.update({{"epoch", finished},
                  {"n_parameters", parameter_count()},
                  {"grad_norm", sums.mean(sums.norm)},
                  {"img_per_s", console.images_per_second()},
                  {"tflop_per_s", console.images_per_second() * console.flop_per_image * 1e-12},
                  {"data_wait_frac", console.data_wait()},
                  {"skipped_steps", guard_.skipped()},
                  {"unreadable_images", unreadable_images()}});
  entries.update(own);

  const bool best = found && found->value > clock_.best;
  if (best) {
    clock_.best = found->value;
    clock_.best_epoch = finished;
  }
  // Without a step that was taken there is nothing new to go back to.
  const bool changed = sums.steps > 0 || finished == optim_.epochs;
  clock_.next_epoch();
  log_epoch(entries);
  if (found) result_.last = found;
  if (best) store_.save_best(task_, clock_);
  if (changed && (due(run_.save_every) || hooks_.save_after.count(finished) > 0)) save();
}

// Two processes may have met the same one, in different epochs.
std::int64_t Engine::unreadable_images() const {
  std::vector<std::int64_t> own = loader_->unreadable();
  std::set<std::int64_t> all;
  for (const at::Tensor& part : processes().gather(
           at::from_blob(own.data(), {static_cast<std::int64_t>(own.size())}, at::kLong)))
    all.insert(part.const_data_ptr<std::int64_t>(),
               part.const_data_ptr<std::int64_t>() + part.numel());
  return static_cast<std::int64_t>(all.size());
}

void Engine::log_epoch(const ordered_json& entries) {
  if (!events_) return;
  append_log(folder_.log(), entries);
  const std::int64_t x = event_x() - 1;  // of this epoch: a run that goes on after it keeps it
  for (const auto& [key, value] : entries.items()) {
    if (key == "train_loss" || key == "train_lr" || key == "epoch") continue;
    const bool of_mask = key.starts_with("mask_") || key.starts_with("guide_");
    const std::string tag =
        (of_mask ? "mask/" : "perf/") + (key.starts_with("mask_") ? key.substr(5) : key);
    if (value.is_number()) events_->scalar(tag, value.get<double>(), x);
    if (!value.is_array()) continue;
    for (std::size_t layer = 0; layer < value.size(); ++layer)
      events_->scalar(str(tag, "/", layer), value[layer].get<double>(), x);
  }
  events_->flush();
}

void Engine::save() {
  result_.checkpoint = store_.save(task_, clock_, guard_, clock_.epoch == optim_.epochs);
  for (const GradientExchange& exchange : exchanges_)
    if (exchange.sharded()) release_freed_memory();  // that of the gathered shards
  set_steps_at_stake(good_steps_ = 0);
  processes().leader([&] {
    if (hooks_.after_save) hooks_.after_save(result_.checkpoint, clock_);
  });
}

void Engine::roll_back(const std::string& reason) {
  const std::string place = where();
  const StepGuard guard = guard_;
  const std::int64_t rollbacks = clock_.rollbacks + 1;
  const auto go_back = [&] {
    const fs::path target = found_by_leader([&] {
      const auto newest = store_.newest();
      check(newest.has_value(), ExitCode::checkpoint, folder_.root.string(),
            ": there is no checkpoint left to roll back to");
      return *newest;
    });
    store_.restore(target, task_, clock_, guard_);
    processes().wait_for_all();  // before anybody changes what another one reads
    return store_.describe(target, clock_);
  };
  const auto step_back = [&] {
    bool done = false;
    processes().leader([&] { done = store_.step_back(); });
    return processes().of_leader(done ? "yes" : "") == "yes";
  };
  std::string to = go_back();
  // One from which training twice did not get going is spoiled itself.
  if (rollback_limit_.reached(to) && good_steps_ < StepGuard::spoiled_after && step_back()) {
    if (events_) warn("training makes no progress from ", to, "; it is set aside as *.diverged");
    to = go_back();
  }
  const char* const rate = optim_.lr > 0 ? "--lr" : "--blr";
  rollback_limit_.count(to, place,
                        str("to resume from there with a lower rate, give the same command with "
                            "--resume ",
                            folder_.root.string(), " --output_dir ANOTHER ", rate, " below ",
                            optim_.lr > 0 ? optim_.lr : optim_.blr,
                            "; --clip_grad 1 or --precision fp32 may help too"));
  if (events_)
    warn(reason, " ", place, ": rolling back to ", to,
         " and continuing with another order of images");
  guard_ = guard;  // keeps counting
  guard_.forget();
  set_steps_at_stake(good_steps_ = 0);
  if (events_) {
    trim_log(folder_.log(), clock_.epoch);
    events_->begin_again(event_x());
  }
  last_x_ = -1;
  clock_.rollbacks = rollbacks;
  happened("rolled back", {{"because", reason}, {"at", place}, {"to", to}});
  loader_.reset();
}

void Engine::stop() {
  try {
    save();
  } catch (const Error& error) {
    if (error.code() != ExitCode::diverged) throw;
    happened("interrupted");
    fail(ExitCode::interrupted, "interrupted; ", error.what(),
         ", and the same command resumes from ", store_.newest().value_or(folder_.root).string());
  }
  happened("interrupted");
  fail(ExitCode::interrupted, "interrupted; ", result_.checkpoint.string(),
       " is written, and the same command resumes from there");
}

// The images are gone (a disk unmounted, a server down). What was learned is not.
void Engine::stop_without_data(const Error& error) {
  save();
  happened("stopped", {{"because", error.what()}});
  fail(error.code(), error.what(), "; ", result_.checkpoint.string(),
       " is written, and the same command resumes from there when the images are back");
}

void Engine::happened(const char* what, ordered_json details) {
  ordered_json line{
      {"time", utc_now()}, {"event", what}, {"epoch", clock_.epoch}, {"step", clock_.step}};
  line.update(details);
  if (events_) append_log(folder_.happenings(), line);
}

// MAE's x axis, which does not depend on the batch size.
std::int64_t Engine::event_x() const {
  return static_cast<std::int64_t>(1000 * clock_.progress());
}

std::string Engine::where() const {
  if (clock_.step == 0) return str("after epoch ", clock_.epoch);
  return str("after epoch ", clock_.epoch, " and ", clock_.step, " steps");
}

}  // namespace sgmae
