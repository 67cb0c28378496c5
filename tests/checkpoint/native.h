// Tiny models of every kind that checkpoints hold, as files read.
#pragma once

#include "sgmae/checkpoint/model_file.h"
#include "sgmae/nn/mae.h"
#include "sgmae/nn/vit.h"
#include "tests/tiny_mae.h"

namespace sgmae {

inline NamedTensors values_of(const std::vector<Parameter>& parameters) {
  NamedTensors tensors;
  for (const Parameter& p : parameters) tensors.emplace_back(p.name, p.value);
  return tensors;
}

inline ModelFile file_of(const Mae& model) {
  ModelFile file;
  file.path = "mae";
  file.family = Family::sgmae;
  file.tensors = values_of(model.parameters());
  file.vit = encoder_config(model.config());
  file.mae = model.config();
  file.info.mean = {0.25f};
  file.info.std = {0.5f};
  return file;
}

inline ModelFile file_of(const Vit& model) {
  ModelFile file;
  file.path = "vit";
  file.family = Family::sgmae;
  file.tensors = values_of(model.parameters());
  file.vit = model.config();
  file.info.mean = {0.25f};
  file.info.std = {0.5f};
  return file;
}

}  // namespace sgmae
