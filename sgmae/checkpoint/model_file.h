// A checkpoint of any family, read and understood: native tensors and the model they make.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sgmae/base/options.h"
#include "sgmae/checkpoint/model_info.h"
#include "sgmae/checkpoint/name_map.h"
#include "sgmae/nn/config.h"

namespace sgmae {

// What files do not always say, as options that every command has which opens one. 0 or empty: as
// the file has it, or the rule of the published models, which is then said aloud.
struct OpenOptions {
  std::int64_t height = 0, width = 0;  // another input size; position embeddings follow
  std::int64_t heads = 0, decoder_heads = 0;
  std::string grid = {};  // patches of the position table: "ROWS,COLUMNS"
  // Of pixels in 0 .. 1: "0.485,0.456,0.406", or one number for all channels.
  std::string pixel_mean = {}, pixel_std = {};
  double layer_norm_eps = 0;

  void declare(Options& options);  // all but height and width
};

struct ModelFile {
  std::filesystem::path path;  // the file or folder that was read
  Family family = Family::mae;
  NamedTensors tensors;               // native names, as stored
  std::vector<std::string> left_out;  // names in the file that are no part of the model
  VitConfig vit;                      // of the encoder, with its head where there is one
  std::optional<MaeConfig> mae;       // where the file has a whole decoder
  std::optional<bool> norm_pix_loss;  // where known
  bool epoch_known = false;
  ModelInfo info;
  std::vector<std::string> assumptions;  // in words: what was not in the file
  std::vector<std::string> remarks;      // what its own program does otherwise than sgmae, in words
  std::vector<std::string> unknown;      // classes whose objects were left out of a .pth
  nlohmann::json extra;                  // other values of the file: args, config …

  const at::Tensor* find(const std::string& native_name) const;
};

// Reads a file of any family: .safetensors, .pth as torch.save writes it, a folder of transformers
// or timm, a run folder (its newest checkpoint). Values of tensors are not looked at.
// Throws Error(checkpoint), naming file, tensor and cure, for what is no whole model or cannot be
// run as its own program runs it; Error(usage) for unfit options. Warns of assumptions and remarks,
// one line each.
ModelFile read_model_file(const std::filesystem::path& path, const OpenOptions& options = {});
// The same without a word, for whoever shows them in another way.
ModelFile examine_model_file(const std::filesystem::path& path, const OpenOptions& options = {});

std::string shape_text(const at::Tensor& tensor);  // "[3, 4]"

}  // namespace sgmae
