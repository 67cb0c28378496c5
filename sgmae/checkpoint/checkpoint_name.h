// The model files of a run folder:
//
//   checkpoints/checkpoint-19.safetensors         after epoch 19 (from 0, as MAE counts)
//   checkpoints/checkpoint-20-130.safetensors     inside epoch 20, 130 steps done (interrupted)
#pragma once

#include <compare>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace sgmae {

// Position of a checkpoint in training: epochs finished, then steps of the next one.
struct CheckpointName {
  std::int64_t epoch = 0, step = 0;
  auto operator<=>(const CheckpointName&) const = default;
  std::string file() const;   // checkpoint-19.safetensors
  std::string state() const;  // checkpoint-19.state.safetensors
};
std::optional<CheckpointName> parse_checkpoint_name(const std::string& file);

// The checkpoints of a folder, oldest first. `resumable` keeps those with optimizer state beside.
std::vector<CheckpointName> list_checkpoints(const std::filesystem::path& folder, bool resumable);

// The newest model file of a run folder (or of its checkpoints/), else `path` itself.
std::filesystem::path find_model_file(const std::filesystem::path& path);

}  // namespace sgmae
