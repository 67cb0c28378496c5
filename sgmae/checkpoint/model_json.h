// What JSON in or beside a weights file says of its model: config.json of transformers and timm,
// the arguments of MAE's training files, the header of our own. None of it is trusted: what has
// another type than it should is passed over, since tensors tell most of it too. Free of torch.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "sgmae/nn/config.h"

namespace sgmae {

struct DescribedModel {
  std::optional<std::int64_t> height, width;  // 1 .. largest_side
  std::optional<std::int64_t> heads, decoder_heads;
  std::optional<std::int64_t> epoch;  // finished
  std::optional<double> layer_norm_eps;
  std::optional<bool> norm_pix_loss;
  bool class_token = true, position_embedding = true, final_norm = true;
  std::vector<BlockAttention> attention;
  std::vector<float> mean, std;
};

inline constexpr std::int64_t largest_side = 1 << 20;  // of an image, in pixels

// All three throw Error(checkpoint), without the file's name, for an image size or an epoch that no
// file can have.

// config.json and preprocessor_config.json of transformers, or config.json of timm.
void describe_from_folder(const nlohmann::json& config, const nlohmann::json& preprocessor,
                          DescribedModel& described);
// MAE's and its followers' training files: `epoch`, and `args` as the command line had them.
void describe_from_training(const nlohmann::json& content, DescribedModel& described);
// What our own files call the kinds of RelativePosition, in the order of the enum.
inline constexpr const char* relative_position_names[] = {"none", "decomposed", "bias"};

// What to_json of a VitConfig (model_info.h) says of its attention; empty where it says nothing.
// Throws Error(checkpoint), without the file's name, for what it cannot have said.
std::vector<BlockAttention> attention_from_json(const nlohmann::json& config);

// The configuration in our own files (to_json of model_info.h). Throws as attention_from_json does.
void describe_from_header(const nlohmann::json& config, DescribedModel& described);

}  // namespace sgmae
