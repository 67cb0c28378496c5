// The model files of a run folder, named by epochs finished:
//
//   checkpoints/epoch-0020.safetensors            after 20 epochs
//   checkpoints/epoch-0020-step-130.safetensors   130 steps later (interrupted)
//
// Older versions counted as MAE does: their checkpoint-19.safetensors is that after 20 epochs, and
// checkpoint-20-130.safetensors that 130 steps later. They are read, and found, in runs that have
// them.
#pragma once

#include <compare>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace sgmae {

// Of trainings that test their model as they go (train/checkpoint_store.h), in the run's folder.
inline constexpr const char* best_model = "checkpoint-best.safetensors";
inline constexpr const char* last_model = "checkpoint-last.safetensors";

// Position of a checkpoint in training: epochs finished, then steps of the next one.
struct CheckpointName {
  std::int64_t epoch = 0, step = 0;
  bool older = false;  // the file is named as older versions did; the same place all the same

  std::string file() const;   // epoch-0020.safetensors
  std::string state() const;  // epoch-0020.state.safetensors

  bool operator==(const CheckpointName& other) const { return (*this <=> other) == 0; }
  std::strong_ordering operator<=>(const CheckpointName& other) const {
    return std::pair(epoch, step) <=> std::pair(other.epoch, other.step);
  }
};
std::optional<CheckpointName> parse_checkpoint_name(const std::string& file);

// The checkpoints of a folder, oldest first. `resumable` keeps those with optimizer state beside.
std::vector<CheckpointName> list_checkpoints(const std::filesystem::path& folder, bool resumable);

// The file of that place in a folder of checkpoints, by whichever name; where there is none, the
// path that it would have.
std::filesystem::path checkpoint_at(const std::filesystem::path& folder, CheckpointName place);

// The model file of a run folder: its best one where it has one, else its newest (of checkpoints/,
// or of the folder itself). Any other path as it is.
std::filesystem::path find_model_file(const std::filesystem::path& path);

}  // namespace sgmae
