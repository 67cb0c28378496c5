// One way in for every file that holds weights: .pth in its layouts, safetensors, sharded ones with
// an index, and Hugging Face folders. Told apart by their content, never by their name. What the
// tensors mean is for others to say.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "sgmae/io/tensors.h"

namespace sgmae {

enum class CheckpointFormat { safetensors, torch };

struct CheckpointContent {
  NamedTensors tensors;  // of a .pth under dotted names: "model.cls_token"
  Metadata metadata;     // of safetensors
  // What is no tensor in a .pth: epoch, args, optimizer.param_groups … From a Hugging Face folder,
  // or a file in one, its config.json as "config" and its preprocessor_config.json as
  // "preprocessor_config".
  nlohmann::json extra = nlohmann::json::object();
  std::set<std::string> unknown;  // classes whose objects a .pth holds and that were left out
  CheckpointFormat format = CheckpointFormat::safetensors;
  std::size_t shards = 1;         // files that the tensors come from
  std::filesystem::path weights;  // the file that was read; the index where there are shards
};

// `path` is a file or a folder that holds model.safetensors, pytorch_model.bin or one of their
// indices. Throws Error(checkpoint), in one sentence that names what the file is instead: empty, a
// web page, a Git LFS pointer, TorchScript, cut off …
CheckpointContent read_checkpoint_file(const std::filesystem::path& path);

}  // namespace sgmae
