#include "sgmae/train/checkpoint_store.h"

#include <ATen/ops/isfinite.h>

#include <cmath>

#include "sgmae/base/file.h"
#include "sgmae/base/json.h"
#include "sgmae/base/log.h"
#include "sgmae/io/checksum.h"
#include "sgmae/io/safetensors_header.h"
#include "sgmae/optim/groups.h"
#include "sgmae/parallel/process_group.h"
#include "sgmae/train/checkpoint.h"

namespace sgmae {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr const char* go_back = "delete this checkpoint to resume from the one before it";
// Of other runs nothing is to be deleted.
constexpr const char* name_another = "name another one with --resume";
constexpr const char* name_the_state =
    "to go on with a run name its folder, or checkpoint-last.state.safetensors in it; to begin "
    "from a model give it as --checkpoint";

// The tensors of `file` that are called `prefix`NAME, as NAME.
TensorFile without_prefix(const TensorFile& file, const std::string& prefix) {
  if (prefix.empty()) return file;
  TensorFile part;
  for (const auto& [name, tensor] : file.tensors)
    if (name.starts_with(prefix)) part.tensors.emplace_back(name.substr(prefix.size()), tensor);
  return part;
}

std::string prefix_of(const Learner& learner) {
  return learner.name.empty() ? "" : learner.name + ".";
}

// The state's JSON, brought to today's shape: older versions had no "clock" and wrote under the
// name of the task.
json state_json(const Metadata& metadata) {
  for (const auto& [key, kind] :
       {std::pair{"trainer", "pretrain"}, {"probe", "linprobe"}, {"finetune", "finetune"}}) {
    const auto text = metadata.find(key);
    if (text == metadata.end()) continue;
    json state = json::parse(text->second);
    if (state.contains("clock")) return state;
    state["kind"] = kind;
    state["clock"] = state.at("position");
    if (!state.contains("guard")) state["guard"] = StepGuard(0).state();
    state["task"] = state;
    return state;
  }
  return nullptr;
}

// Inside an epoch the number of steps says which images are left, if steps are as large as they
// were. Older versions did not write how many an epoch has.
void check_steps(const json& clock, std::int64_t steps_per_epoch, const fs::path& state_path) {
  const std::int64_t there = clock.value("steps_per_epoch", steps_per_epoch);
  check(there == steps_per_epoch || clock.at("step") == 0, ExitCode::usage, state_path.string(),
        ": an epoch had ", there, " steps, of which ", clock.at("step").dump(),
        " are done, and now has ", steps_per_epoch,
        "; give the batch_size and accum_iter of that run, or a checkpoint between two epochs");
}

std::int64_t steps_until(const CheckpointName& place, const TrainClock& clock) {
  return place.epoch * clock.steps_per_epoch + place.step;
}

// Whether training has gone on from `place`, an earlier one, for long enough to trust it.
bool is_sound(const CheckpointName& place, const TrainClock& clock) {
  return steps_until(clock.name(), clock) - steps_until(place, clock) >= StepGuard::spoiled_after;
}

// Where a state file stands; nothing where it cannot be read.
std::optional<CheckpointName> place_of(const fs::path& state_file) {
  try {
    const MappedFile file(state_file, ExitCode::checkpoint);
    const json state = state_json(parse_safetensors_header(file.bytes(), "").metadata);
    return CheckpointName{state.at("clock").at("epoch"), state.at("clock").at("step")};
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

void check_finite(const NamedTensors& tensors) {
  for (const auto& [name, tensor] : tensors) {
    if (!tensor.is_floating_point() || std::isfinite(tensor.sum().item<double>())) continue;
    const at::Tensor finite = tensor.isfinite();
    check(finite.all().item<bool>(), ExitCode::diverged, "of '", name, "' ",
          tensor.numel() - finite.sum().item<std::int64_t>(), " of ", tensor.numel(),
          " values are not finite, so no checkpoint is written");
  }
}

void check_weights(TrainTask& task) {
  for (const Learner* learner : task.learners()) {
    NamedTensors weights;
    for (const Parameter& parameter : *learner->parameters)
      weights.emplace_back(prefix_of(*learner) + parameter.name, parameter.value);
    check_finite(weights);
  }
}

// What a state file holds, whole in process 0. Throws Error(diverged) where any of it, or a weight,
// is not finite.
TensorFile state_of(TrainTask& task, const TrainClock& clock, const StepGuard& guard,
                    const std::string& kind) {
  TaskState own = task.state();
  TensorFile file{std::move(own.tensors), {}};
  for (const Learner* learner : task.learners())
    for (auto& [name, tensor] : learner->optimizer->state())
      file.tensors.emplace_back(prefix_of(*learner) + name, tensor);
  processes().together([&] {
    check_weights(task);
    check_finite(file.tensors);
  });
  const json state{{"kind", kind},
                   {"clock", clock.to_json()},
                   {"guard", guard.state()},
                   {"images", task.training_images().size()},
                   {"data", data_hash(task.training_images())},
                   {"task", own.json}};
  file.metadata["trainer"] = json_text(state);
  return file;
}

void set_aside(const fs::path& file) {
  fs::rename(file, file.string() + ".diverged");
}

}  // namespace

std::optional<fs::path> CheckpointStore::newest() const {
  if (layout_ == CheckpointLayout::best_and_last) {
    for (const char* name : {last_state, sound_state})
      if (fs::exists(folder_.root / name)) return folder_.root / name;
    return std::nullopt;
  }
  for (const bool resumable : {true, false}) {
    const auto names = list_checkpoints(folder_.checkpoints(), resumable);
    if (!names.empty()) return folder_.checkpoints() / names.back().file();
  }
  return std::nullopt;
}

fs::path CheckpointStore::named(const fs::path& path) const {
  if (fs::is_directory(path)) {
    const auto newest_there = CheckpointStore(RunFolder{path}, kind_, layout_, keep_).newest();
    check(newest_there.has_value(), ExitCode::checkpoint, path.string(),
          ": contains no checkpoint to resume from");
    return *newest_there;
  }
  check(fs::exists(path), ExitCode::checkpoint, path.string(),
        ": no such checkpoint to resume from");
  return path;
}

fs::path CheckpointStore::save(TrainTask& task, const TrainClock& clock, const StepGuard& guard,
                               bool last) const {
  const TensorFile state = state_of(task, clock, guard, kind_);
  const fs::path written = layout_ == CheckpointLayout::numbered
                               ? folder_.checkpoints() / clock.name().file()
                               : folder_.root / last_state;
  processes().leader([&] { write(state, task, clock, last); });
  return written;
}

void CheckpointStore::write(const TensorFile& state, TrainTask& task, const TrainClock& clock,
                            bool last) const {
  if (layout_ == CheckpointLayout::numbered) {
    // The state goes first: a state without a model is never looked at, and a model without a state
    // would be gone on from without it.
    write_safetensors(folder_.checkpoints() / clock.name().state(), state.tensors, state.metadata);
    task.save_model(folder_.checkpoints() / clock.name().file(), clock);
    prune(task, clock);
    return;
  }
  const bool between_epochs = clock.step == 0 && clock.epoch > 0;
  if (between_epochs && keep_ != 1) {
    fs::create_directories(folder_.checkpoints());
    task.save_model(folder_.checkpoints() / clock.name().file(), clock);
    prune(task, clock);
  }
  if (last) task.save_model(folder_.root / last_model, clock);
  const fs::path state_file = folder_.root / last_state, sound = folder_.root / sound_state;
  const auto before = place_of(state_file);
  if (before && (is_sound(*before, clock) || !fs::exists(sound))) fs::rename(state_file, sound);
  write_safetensors(state_file, state.tensors, state.metadata);
  if (last) fs::remove(sound);  // the test at the end has found the weights sound
}

void CheckpointStore::save_best(TrainTask& task, const TrainClock& clock) const {
  if (layout_ != CheckpointLayout::best_and_last) return;
  check_weights(task);
  processes().leader([&] { task.save_model(folder_.root / best_model, clock); });
}

// Of the checkpoints before the last sound one, those inside epochs and of the untrained model go,
// those beyond `keep`, and every state.
void CheckpointStore::prune(TrainTask& task, const TrainClock& clock) const {
  const auto names = list_checkpoints(folder_.checkpoints(), /*resumable=*/false);
  std::int64_t newer = 0;
  bool sound_seen = false;
  for (auto name = names.rbegin(); name != names.rend(); ++name, ++newer) {
    const bool resumable = fs::exists(folder_.checkpoints() / name->state());
    const bool needed = resumable && !sound_seen;
    sound_seen |= resumable && is_sound(*name, clock);
    if (needed) continue;
    fs::remove(folder_.checkpoints() / name->state());
    const bool passing = name->step > 0 || name->epoch == 0;
    const bool surplus = keep_ > 0 && newer >= keep_;
    if (task.needs_checkpoint(*name) || newer == 0 || !(passing || surplus)) continue;
    fs::remove(folder_.checkpoints() / name->file());
  }
  task.checkpoints_left(list_checkpoints(folder_.checkpoints(), /*resumable=*/true));
}

bool CheckpointStore::step_back() const {
  if (layout_ == CheckpointLayout::best_and_last) {
    if (!fs::exists(folder_.root / last_state) || !fs::exists(folder_.root / sound_state))
      return false;
    set_aside(folder_.root / last_state);
    return true;
  }
  const auto names = list_checkpoints(folder_.checkpoints(), /*resumable=*/true);
  if (names.size() < 2) return false;
  set_aside(folder_.checkpoints() / names.back().file());
  set_aside(folder_.checkpoints() / names.back().state());
  return true;
}

void CheckpointStore::restore_weights(const fs::path& model, const CheckpointName& name,
                                      TrainTask& task, TrainClock& clock, StepGuard& guard) const {
  warn(model.string(), " has no ", name.state(),
       " beside it: training goes on from its weights alone, with a new optimizer, and will not "
       "equal an unbroken run");
  task.load_model(model);
  clock = {.steps_per_epoch = clock.steps_per_epoch, .epoch = name.epoch, .step = name.step};
  clock.total_steps = steps_until(name, clock);
  guard.forget();
  // Whoever rolls back finds a whole checkpoint. The model stays as it is: it may know of masks
  // what this run has forgotten.
  if (model.parent_path() != folder_.checkpoints()) return;
  const TensorFile state = state_of(task, clock, guard, kind_);
  if (processes().leads())
    write_safetensors(folder_.checkpoints() / name.state(), state.tensors, state.metadata);
}

void CheckpointStore::restore(const fs::path& path, TrainTask& task, TrainClock& clock,
                              StepGuard& guard) const {
  const bool own = newest() == path;
  fs::path state_path = path;
  if (layout_ == CheckpointLayout::numbered) {
    const auto name = parse_checkpoint_name(path.filename().string());
    check(name.has_value(), ExitCode::checkpoint, path.string(),
          ": not a checkpoint of a training run; name one, such as epoch-0020.safetensors");
    require_intact(path, own ? go_back : name_another);
    state_path = path.parent_path() / name->state();
    if (!fs::exists(state_path)) {
      restore_weights(path, *name, task, clock, guard);
      return;
    }
    task.load_model(path);
  }
  const bool one_before =
      layout_ == CheckpointLayout::numbered ||
      (path.filename() == last_state && fs::exists(path.parent_path() / sound_state));
  const std::string cure = !own         ? name_another
                           : one_before ? go_back
                                        : "delete it to restart the run";
  require_intact(state_path, cure);
  const TensorFile file = read_safetensors(state_path);
  try {
    const json state = state_json(file.metadata);
    check(!state.is_null(), ExitCode::checkpoint, state_path.string(), ": not a training state; ",
          own || layout_ == CheckpointLayout::numbered ? cure : name_the_state);
    check(state.at("kind") == kind_, ExitCode::checkpoint, state_path.string(),
          ": belongs to a run of sgmae ", state.at("kind").get<std::string>(), ", not of sgmae ",
          kind_);
    check(state.at("images") == task.training_images().size(), ExitCode::usage, state_path.string(),
          ": the data set had ", state.at("images").dump(), " training images and now has ",
          task.training_images().size(),
          "; give --data_path of the same data, or choose another --output_dir to start over");
    if (const auto data = json_value<std::string>(state, "data"))
      check(*data == data_hash(task.training_images()), ExitCode::usage, state_path.string(),
            ": the data set has ", task.training_images().size(),
            " training images as before, but names, order or sizes of the files differ (digest ",
            *data, ", now ", data_hash(task.training_images()),
            "); give --data_path of the same data, or choose another --output_dir to start over");
    check_steps(state.at("clock"), clock.steps_per_epoch, state_path);
    clock = TrainClock::from_json(state.at("clock"), clock.steps_per_epoch);
    guard.restore(state.at("guard"));
    task.restore(state.at("task"), file);
  } catch (const json::exception&) {
    fail(ExitCode::checkpoint, state_path.string(), ": damaged; ", cure);
  }
  for (Learner* learner : task.learners()) {
    learner->optimizer->load(without_prefix(file, prefix_of(*learner)));
    zero_gradients(*learner->parameters);
    if (learner->changed) learner->changed();
  }
}

std::string CheckpointStore::describe(const fs::path& path, const TrainClock& clock) const {
  if (layout_ == CheckpointLayout::numbered) return path.filename().string();
  return str(path.filename().string(), " after epoch ", clock.epoch,
             clock.step > 0 ? str(" and ", clock.step, " steps") : std::string());
}

}  // namespace sgmae
