// safetensors: 8-byte little-endian header length, a JSON header, raw little-endian data.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace sgmae {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;  // in file order
using Metadata = std::map<std::string, std::string>;

struct TensorFile {
  NamedTensors tensors;
  Metadata metadata;  // the header's __metadata__

  const at::Tensor* find(const std::string& name) const;  // nullptr when absent
};

// Copies every tensor out of the file. Throws Error(checkpoint) on anything malformed: offsets
// outside the file, overlaps, gaps, wrong lengths, unknown types, a header that is not JSON.
TensorFile read_safetensors(const std::filesystem::path& path);

// Atomic (written beside, synced, renamed). Tensors are made contiguous and moved to the CPU.
void write_safetensors(const std::filesystem::path& path, const NamedTensors& tensors,
                       const Metadata& metadata = {});

}  // namespace sgmae
