// The checkpoints of a run: models, and beside them the states from which training goes on.
//
//   numbered       checkpoints/checkpoint-19.safetensors, checkpoint-19.state.safetensors: what is
//                  left when a run is looked back on. The newest two states are kept.
//   best_and_last  checkpoint-best.safetensors, checkpoint-last.safetensors and its state, which
//                  holds the weights too; checkpoints/ where more than the last are to be kept
//
// A state's metadata entry "trainer" is JSON: clock, guard, number of training images, the task's
// own. Those of older versions are still read.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "sgmae/train/guard.h"
#include "sgmae/train/run_folder.h"
#include "sgmae/train/task.h"

namespace sgmae {

enum class CheckpointLayout { numbered, best_and_last };

// Files of best_and_last, in the run's folder.
inline constexpr const char* best_model = "checkpoint-best.safetensors";
inline constexpr const char* last_model = "checkpoint-last.safetensors";
inline constexpr const char* last_state = "checkpoint-last.state.safetensors";

class CheckpointStore {
 public:
  // `kind`: RunKind::command. `keep`: newest models of training to keep, 0 for all.
  CheckpointStore(RunFolder folder, std::string kind, CheckpointLayout layout, std::int64_t keep)
      : folder_(std::move(folder)), kind_(std::move(kind)), layout_(layout), keep_(keep) {}

  // Where training goes on: the newest model (numbered) or state, or nothing.
  std::optional<std::filesystem::path> newest() const;
  // What the user named with --resume: such a file, or a run's folder. Throws Error(checkpoint)
  // where it is not there.
  std::filesystem::path named(const std::filesystem::path& path) const;

  // Writes the state, the model when it is due, and removes what nothing needs any more. Returns
  // the file to speak of. `last`: training ends here.
  std::filesystem::path save(TrainTask& task, const TrainClock& clock, const StepGuard& guard,
                             bool last) const;
  void save_best(const TrainTask& task, const TrainClock& clock) const;

  // Throws Error: checkpoint where the file cannot be gone on from (damaged, of another kind of
  // run), usage where it was trained on another number of images.
  void restore(const std::filesystem::path& path, TrainTask& task, TrainClock& clock,
               StepGuard& guard) const;

  // `path` in messages: that of numbered says where training stands, the other one not.
  std::string describe(const std::filesystem::path& path, const TrainClock& clock) const;

  const RunFolder& folder() const { return folder_; }

 private:
  void prune(TrainTask& task) const;

  RunFolder folder_;
  std::string kind_;
  CheckpointLayout layout_;
  std::int64_t keep_;
};

}  // namespace sgmae
