// What a model file says about the model beside its weights.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "sgmae/image/normalise.h"
#include "sgmae/nn/config.h"

namespace sgmae {

// Beside the model's own tensors in our files: the means of guide_center = position.
inline constexpr const char* position_mean_name = "guide.position_mean";

struct ModelInfo {
  std::vector<float> mean, std;  // [channels] with which pixels were normalised
  std::int64_t epoch = 0;        // epochs finished; 0 where not known
  std::int64_t step = 0;         // steps finished within the next one
  std::string version;           // of sgmae that wrote it; empty for other programs' files
  nlohmann::json guide;  // how masks were guided: part, layer, features, center …; or null
  std::vector<std::string> class_names = {};  // of a classifier, where known
  at::Tensor position_mean;  // [N, D] for guide_center = position; undefined where not made yet
  std::optional<StoredValues> stored = {};  // trained on values as stored, and how these were read

  Normalisation normalisation() const { return {mean, std, stored}; }
  void use(const Normalisation& of_pixels) {
    mean = of_pixels.mean, std = of_pixels.std, stored = of_pixels.stored;
  }
};

// The metadata entry `sgmae` of our files, under which tensors have MAE's names.
nlohmann::json to_json(const MaeConfig& config);
// What only some models have (windows, no class token …) is left out for the others.
nlohmann::json to_json(const VitConfig& config);
nlohmann::json to_json(const ModelInfo& info);

// Throws Error(checkpoint), without the file's name, for what is missing or no number.
ModelInfo model_info_from_json(const nlohmann::json& json);

}  // namespace sgmae
