// .pth, .pt and .bin files as torch.save writes them, read and written without running any of their
// code.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "sgmae/io/tensors.h"

namespace sgmae {

struct TorchFile {
  NamedTensors tensors;  // under dotted names: "model.cls_token", "optimizer.state.0.exp_avg"
  nlohmann::json rest;   // what is no tensor, in the same nesting: epoch, args …
  std::set<std::string> unknown;  // classes whose objects were left out (torch_archive.h)
};

// Tensors are contiguous and share no memory. Throws Error(checkpoint) where the file is damaged,
// hostile or asks to run code.
TorchFile read_torch_file(const std::filesystem::path& path);

// What to write: a tensor, plain values, or a dictionary.
struct TorchTree;
using TorchDict = std::vector<std::pair<std::string, TorchTree>>;
struct TorchTree {
  std::variant<at::Tensor, nlohmann::json, TorchDict> value;
};

// One tensor after another: the usual {"model": torch_dict(tensors)}.
TorchDict torch_dict(const NamedTensors& tensors);

// Atomic. The file opens under torch.load(weights_only=True), from torch 1.6 on.
void write_torch_file(const std::filesystem::path& path, const TorchDict& content);

}  // namespace sgmae
