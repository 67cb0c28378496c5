// What JSON in or beside a weights file says of its model: config.json of transformers and timm,
// the arguments of training files, the header of our own. None of it is trusted: a number that has
// another type than it should is passed over, since tensors tell most of it too. What changes the
// outputs and cannot be done here is refused by name. Free of torch.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sgmae/nn/config.h"

namespace sgmae {

struct DescribedModel {
  std::optional<std::int64_t> height, width;  // 1 .. largest_side
  std::optional<std::int64_t> heads, decoder_heads;
  std::optional<std::int64_t> epoch;  // finished
  std::optional<double> layer_norm_eps;
  std::optional<bool> norm_pix_loss, qkv_bias;
  // Of a training's arguments: the image size where the tensors agree, and the heads of a model of
  // this width; likewise of a decoder.
  std::optional<std::int64_t> training_height, training_width;
  std::optional<std::int64_t> named_width, named_heads;
  std::optional<VitSize> named_decoder;
  bool class_token = true, position_embedding = true, final_norm = true;
  std::vector<BlockAttention> attention;
  std::vector<float> mean, std;        // of pixels in 0 .. 1, one for each channel or one for all
  double pixel_scale = 1;              // pixels in 0 .. 1 are multiplied by this before
  std::optional<std::string> pooling;  // timm's global_pool: what the head looks at
  // What tensors must agree with, where it is told: "hidden_size" …, and the number.
  std::vector<std::pair<std::string, std::int64_t>> sizes;
  std::optional<std::int64_t> input_height, input_width;  // images as the file's program makes them
  std::vector<std::string> remarks;  // what that program does otherwise than sgmae, in words
};

inline constexpr std::int64_t largest_side = 1 << 20;  // of an image, in pixels

// All throw Error(checkpoint), without the file's name, for an image size or an epoch that no file
// can have, and for settings that change the outputs and cannot be followed.

// config.json and preprocessor_config.json of transformers, or config.json of timm.
void describe_from_folder(const nlohmann::json& config, const nlohmann::json& preprocessor,
                          DescribedModel& described);
// Training files of MAE and its followers, DINO, MoCo v3, timm, mmengine: epoch, and what the
// command line had. `counts_done`: the file's epoch is the number of epochs done, as DINO and MoCo
// v3 save it, and not that of the last one, from 0, as MAE and timm do.
void describe_from_training(const nlohmann::json& content, bool counts_done,
                            DescribedModel& described);
// What our own files call the kinds of RelativePosition, in the order of the enum.
inline constexpr const char* relative_position_names[] = {"none", "decomposed", "bias"};

// What to_json of a VitConfig (model_info.h) says of its attention; empty where it says nothing.
// Throws Error(checkpoint), without the file's name, for what it cannot have said.
std::vector<BlockAttention> attention_from_json(const nlohmann::json& config);

// The configuration in our own files (to_json of model_info.h). Throws as attention_from_json does.
void describe_from_header(const nlohmann::json& config, DescribedModel& described);

}  // namespace sgmae
