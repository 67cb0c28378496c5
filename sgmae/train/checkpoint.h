// Checkpoints of a training run. A model is one safetensors file under MAE's parameter names whose
// metadata says what it is (checkpoint/write_model.h); beside it `<name>.state.safetensors` holds
// what only training needs.
#pragma once

#include <filesystem>
#include <string>

#include "sgmae/checkpoint/checkpoint_name.h"
#include "sgmae/checkpoint/open_model.h"
#include "sgmae/checkpoint/write_model.h"
#include "sgmae/data/source.h"
#include "sgmae/io/safetensors.h"
#include "sgmae/nn/mae.h"

namespace sgmae {

struct LoadedMae {
  Mae model;
  ModelInfo info;
  std::filesystem::path path;  // the file that was read
};

// Reads an autoencoder from a model file of any family, or from the newest one of a run folder (or
// of its checkpoints/ folder). Throws Error(checkpoint), naming the tensor and the cure, where the
// file does not fit or holds an encoder only.
LoadedMae load_mae(const std::filesystem::path& path, const OpenOptions& options = {});

// As load_mae, but into a model that exists; its configuration must be the file's.
ModelInfo load_weights(const std::filesystem::path& path, Mae& model);

// Writes values_of() in a training state over the parameters. Throws Error(checkpoint) for what is
// missing or of another shape.
void load_values(const TensorFile& state, std::vector<Parameter>& parameters);

// 16 hex digits over every parameter's name and bytes: tells which weights made a map file.
std::string model_hash(const std::vector<Parameter>& parameters);
inline std::string model_hash(const Mae& model) {
  return model_hash(model.parameters());
}

// Source::digest as 16 hex digits: tells which images trained a model or made a map file.
std::string data_hash(const Source& source);

}  // namespace sgmae
