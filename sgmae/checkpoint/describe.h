// What a checkpoint is, in plain words and as JSON (sgmae inspect).
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sgmae/checkpoint/model_file.h"

namespace sgmae {

struct ModelDescription {
  std::string family, title;       // "mae", "a model of MAE (facebookresearch/mae)"
  std::string kind;                // "pre-trained autoencoder", "encoder", "classifier", …
  std::string architecture;        // "ViT-B/16, 224x224, 3 channels"
  std::vector<std::string> parts;  // "encoder: 12 blocks, width 768, 12 heads, 85.80 M parameters"
  std::vector<std::string> uses;   // what can be done with it
  std::vector<std::string> warnings;
  std::int64_t encoder_parameters = 0, decoder_parameters = 0, head_parameters = 0;
  bool optimizer = false;
  std::vector<std::string> not_finite;  // native names of such tensors
  nlohmann::ordered_json heads;         // of a detector or segmentation model (describe_checkpoint)
};

std::string millions(std::int64_t count);  // "85.80 M", or "12345" of few

// "ViT-B/16, images 224x224 with 3 channels, LayerScale"
std::string architecture_of(const VitConfig& config);

// Reads every value, and makes the model: what does not run is good for nothing, and a warning says
// why.
ModelDescription describe(const ModelFile& file);

std::string to_text(const ModelDescription& description, const ModelFile& file);
nlohmann::ordered_json to_json(const ModelDescription& description, const ModelFile& file);

}  // namespace sgmae
