// Checkpoints. A model is one safetensors file under MAE's parameter names whose metadata says what
// it is; beside it `<name>.state.safetensors` holds what only training needs.
//
//   checkpoints/checkpoint-19.safetensors         after epoch 19 (from 0, as MAE counts)
//   checkpoints/checkpoint-20-130.safetensors     inside epoch 20, 130 steps done (interrupted)
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "sgmae/io/safetensors.h"
#include "sgmae/nn/mae.h"

namespace sgmae {

// What a model file says about itself.
struct ModelInfo {
  MaeConfig config;
  std::vector<float> mean, std;  // [channels] with which pixels were normalised
  std::int64_t epoch = 0;        // epochs finished
  std::int64_t step = 0;         // steps finished within the next one
  std::string version;           // of sgmae
  nlohmann::json guide;      // how masks were guided: part, layer, features, center …; or null
  at::Tensor position_mean;  // [N, D] for guide_center = position; undefined where not made yet
  bool has_decoder = true;
};

struct LoadedMae {
  Mae model;
  ModelInfo info;
  std::filesystem::path path;  // the file that was read
};

// Reads a model file, or the newest one of a run folder (or of its checkpoints/ folder). An
// encoder-only file is refused when `need_decoder`; else its decoder stays as initialised.
// Throws Error(checkpoint), naming the tensor and the cure, where the file does not fit.
LoadedMae load_mae(const std::filesystem::path& path, bool need_decoder = true);

// As load_mae, but into a model that exists; its configuration must be the file's.
ModelInfo load_weights(const std::filesystem::path& path, Mae& model);

// Atomic.
void save_mae(const std::filesystem::path& path, const Mae& model, const ModelInfo& info);

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

// 16 hex digits over every parameter's name and bytes: tells which weights made a map file.
std::string model_hash(const Mae& model);

nlohmann::json to_json(const MaeConfig& config);
MaeConfig config_from_json(const nlohmann::json& json);

}  // namespace sgmae
