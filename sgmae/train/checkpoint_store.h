// The checkpoints of a run: models, and beside them the states from which training goes on.
//
//   numbered       checkpoints/epoch-0020.safetensors, epoch-0020.state.safetensors: what is left
//                  when a run is looked back on
//   best_and_last  checkpoint-best.safetensors, checkpoint-last.safetensors and its state, which
//                  holds the weights too; checkpoints/ where more than the last are to be kept
//
// Weights can be spoiled before anything shows it. So what is not finite is never written, and a
// checkpoint counts as sound once training has gone on from it for StepGuard::spoiled_after steps:
// the last sound one stays, with its state, whatever comes after it.
//
// A state's metadata entry "trainer" is JSON: clock, guard, number and digest of the training
// images, the task's own. Those of older versions are still read. All files have a checksum
// (io/checksum.h), which is looked at when training goes on from them.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "sgmae/train/guard.h"
#include "sgmae/train/run_folder.h"
#include "sgmae/train/task.h"

namespace sgmae {

enum class CheckpointLayout { numbered, best_and_last };

// States of best_and_last, in the run's folder.
inline constexpr const char* last_state = "checkpoint-last.state.safetensors";
inline constexpr const char* sound_state = "checkpoint-before.state.safetensors";  // until the end

class CheckpointStore {
 public:
  // `kind`: RunKind::command. `keep`: newest models of training to keep, 0 for all.
  CheckpointStore(RunFolder folder, std::string kind, CheckpointLayout layout, std::int64_t keep)
      : folder_(std::move(folder)), kind_(std::move(kind)), layout_(layout), keep_(keep) {}

  // Where training goes on: the newest checkpoint that has a state, or nothing. Of numbered, where
  // no state is left, the newest model.
  std::optional<std::filesystem::path> newest() const;
  // What the user named with --resume: such a file, or a run's folder. Throws Error(checkpoint)
  // where it is not there.
  std::filesystem::path named(const std::filesystem::path& path) const;

  // Of several processes all call what writes, and process 0 does it.

  // Writes the state, the model when it is due, and removes what nothing needs any more. Returns
  // the file to speak of. `last`: training ends here. Throws Error(diverged), and writes nothing,
  // where weights, optimizer or the task's own tensors are not finite.
  std::filesystem::path save(TrainTask& task, const TrainClock& clock, const StepGuard& guard,
                             bool last) const;
  void save_best(TrainTask& task, const TrainClock& clock) const;

  // Sets the newest checkpoint aside (*.diverged), since training cannot go on from it, where
  // there is one before it that has a state. Whether there was.
  bool step_back() const;

  // Throws Error: checkpoint where the file cannot be gone on from (damaged, of another kind of
  // run), usage where it was trained on other images. From a model without a state training goes on
  // with a new optimizer, which is warned of.
  void restore(const std::filesystem::path& path, TrainTask& task, TrainClock& clock,
               StepGuard& guard) const;

  // `path` in messages: that of numbered says where training stands, the other one not.
  std::string describe(const std::filesystem::path& path, const TrainClock& clock) const;

  const RunFolder& folder() const { return folder_; }

 private:
  void write(const TensorFile& state, TrainTask& task, const TrainClock& clock, bool last) const;
  void prune(TrainTask& task, const TrainClock& clock) const;
  void restore_weights(const std::filesystem::path& model, const CheckpointName& name,
                       TrainTask& task, TrainClock& clock, StepGuard& guard) const;

  RunFolder folder_;
  std::string kind_;
  CheckpointLayout layout_;
  std::int64_t keep_;
};

}  // namespace sgmae
