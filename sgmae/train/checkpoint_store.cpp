#include "sgmae/train/checkpoint_store.h"

#include "sgmae/optim/groups.h"

namespace sgmae {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr std::int64_t states_kept = 2;  // of numbered: the newest, and one before it

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
json state_json(const TensorFile& file) {
  for (const auto& [key, kind] :
       {std::pair{"trainer", "pretrain"}, {"probe", "linprobe"}, {"finetune", "finetune"}}) {
    const auto text = file.metadata.find(key);
    if (text == file.metadata.end()) continue;
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

}  // namespace

std::optional<fs::path> CheckpointStore::newest() const {
  if (layout_ == CheckpointLayout::best_and_last) {
    const fs::path state = folder_.root / last_state;
    return fs::exists(state) ? std::optional(state) : std::nullopt;
  }
  const auto names = list_checkpoints(folder_.checkpoints(), /*resumable=*/true);
  if (names.empty()) return std::nullopt;
  return folder_.checkpoints() / names.back().file();
}

fs::path CheckpointStore::named(const fs::path& path) const {
  if (fs::is_directory(path)) {
    const auto newest_there = CheckpointStore(RunFolder{path}, kind_, layout_, keep_).newest();
    check(newest_there.has_value(), ExitCode::checkpoint, path.string(),
          ": holds no checkpoint to resume from");
    return *newest_there;
  }
  check(fs::exists(path), ExitCode::checkpoint, path.string(),
        ": no such checkpoint to resume from");
  return path;
}

fs::path CheckpointStore::save(TrainTask& task, const TrainClock& clock, const StepGuard& guard,
                               bool last) const {
  const TaskState own = task.state();
  NamedTensors tensors = own.tensors;
  for (const Learner* learner : task.learners())
    for (auto& [name, tensor] : learner->optimizer->state())
      tensors.emplace_back(prefix_of(*learner) + name, tensor);
  const json state{{"kind", kind_},
                   {"clock", clock.to_json()},
                   {"guard", guard.state()},
                   {"images", task.training_images().size()},
                   {"task", own.json}};
  const Metadata metadata{{"trainer", state.dump()}};

  if (layout_ == CheckpointLayout::numbered) {
    // The state goes first: a model file without one is never resumed from, a state without a model
    // is never looked at.
    const fs::path model = folder_.checkpoints() / clock.name().file();
    write_safetensors(folder_.checkpoints() / clock.name().state(), tensors, metadata);
    task.save_model(model, clock);
    prune(task);
    return model;
  }
  const bool between_epochs = clock.step == 0 && clock.epoch > 0;
  if (between_epochs && keep_ != 1) {
    fs::create_directories(folder_.checkpoints());
    task.save_model(folder_.checkpoints() / clock.name().file(), clock);
    prune(task);
  }
  if (last) task.save_model(folder_.root / last_model, clock);
  write_safetensors(folder_.root / last_state, tensors, metadata);
  return folder_.root / last_state;
}

void CheckpointStore::save_best(const TrainTask& task, const TrainClock& clock) const {
  if (layout_ == CheckpointLayout::best_and_last) task.save_model(folder_.root / best_model, clock);
}

// Checkpoints inside epochs and of the untrained model go once there is a later one, those beyond
// `keep` and the state of all but the newest.
void CheckpointStore::prune(TrainTask& task) const {
  const auto names = list_checkpoints(folder_.checkpoints(), /*resumable=*/false);
  std::int64_t newer = 0;
  for (auto name = names.rbegin(); name != names.rend(); ++name, ++newer) {
    if (newer >= states_kept) fs::remove(folder_.checkpoints() / name->state());
    const bool passing = name->step > 0 || name->epoch == 0;
    const bool surplus = keep_ > 0 && newer >= keep_;
    if (task.needs_checkpoint(*name) || newer == 0 || !(passing || surplus)) continue;
    fs::remove(folder_.checkpoints() / name->state());
    fs::remove(folder_.checkpoints() / name->file());
  }
  task.checkpoints_left(list_checkpoints(folder_.checkpoints(), /*resumable=*/true));
}

void CheckpointStore::restore(const fs::path& path, TrainTask& task, TrainClock& clock,
                              StepGuard& guard) const {
  fs::path state_path = path;
  if (layout_ == CheckpointLayout::numbered) {
    const auto name = parse_checkpoint_name(path.filename().string());
    state_path = name ? path.parent_path() / name->state() : fs::path();
    check(name && fs::exists(state_path), ExitCode::checkpoint, path.string(),
          ": training cannot go on from it, since its .state.safetensors is not beside it; use a "
          "checkpoint that has one");
    task.load_model(path);
  }
  const TensorFile file = read_safetensors(state_path);
  try {
    const json state = state_json(file);
    check(!state.is_null(), ExitCode::checkpoint, state_path.string(),
          ": not a training state; delete this checkpoint to go on from the one before");
    check(state.at("kind") == kind_, ExitCode::checkpoint, state_path.string(),
          ": is of a run of sgmae ", state.at("kind").get<std::string>(), ", not of ", kind_);
    check(state.at("images") == task.training_images().size(), ExitCode::usage, state_path.string(),
          ": the data set had ", state.at("images").dump(), " training images and now has ",
          task.training_images().size(),
          "; give --data_path of the same data, or choose another --output_dir");
    clock = TrainClock::from_json(state.at("clock"), clock.steps_per_epoch);
    guard.restore(state.at("guard"));
    task.restore(state.at("task"), file);
  } catch (const json::exception&) {
    fail(ExitCode::checkpoint, state_path.string(),
         layout_ == CheckpointLayout::numbered
             ? ": damaged; delete this checkpoint to go on from the one before"
             : ": damaged; delete it to begin the run anew");
  }
  for (Learner* learner : task.learners()) {
    learner->optimizer->load(without_prefix(file, prefix_of(*learner)));
    zero_gradients(*learner->parameters);
    if (learner->changed) learner->changed();
  }
}

std::string CheckpointStore::describe(const fs::path& path, const TrainClock& clock) const {
  if (layout_ == CheckpointLayout::numbered) return path.filename().string();
  return str(path.filename().string(), " of epoch ", clock.epoch, ", step ", clock.step);
}

}  // namespace sgmae
