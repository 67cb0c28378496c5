// Models written for other programs.
#pragma once

#include <filesystem>

#include "sgmae/checkpoint/model_file.h"
#include "sgmae/nn/mae.h"
#include "sgmae/nn/vit.h"

namespace sgmae {

// The values, sharing memory.
NamedTensors values_of(const std::vector<Parameter>& parameters);

// Our own file: safetensors under MAE's names, whose metadata entry `sgmae` says what it is.
// Atomic.
void save_mae(const std::filesystem::path& path, const Mae& model, const ModelInfo& info);
void save_vit(const std::filesystem::path& path, const Vit& model, const ModelInfo& info);
// The same from tensors under MAE's names; `config` is to_json of a MaeConfig or VitConfig.
void save_tensors(const std::filesystem::path& path, NamedTensors tensors,
                  const nlohmann::json& config, const ModelInfo& info);

// Whether a native name belongs to the encoder or its head, not to the decoder.
bool is_encoder_tensor(const std::string& native_name);

// Writes `file` as another family's, tensors bit for bit:
//   sgmae       .safetensors
//   mae         .pth {model: …}: pre-trained with or without decoder, fine-tuned, linear probe
//   timm        .safetensors: encoder and head; never the decoder, since timm takes a file with a
//               mask_token for one of DINOv2
//   hf_vit_mae  folder for ViTMAEForPreTraining (needs the decoder)
//   hf_vit      folder for ViTModel, or ViTForImageClassification with a head on CLS
//   hf_dinov2   folder for Dinov2Model (needs LayerScale, no head)
//   mmpretrain  .pth {state_dict: …}
// All but hf_* also carry our metadata, so that nothing has to be guessed on the way back. Throws
// Error(usage) for a model that the family cannot hold, and for a family that is only read.
void write_model(const std::filesystem::path& path, const ModelFile& file, Family family);

}  // namespace sgmae
