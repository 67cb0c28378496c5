// safetensors: 8-byte little-endian header length, a JSON header, raw little-endian data.
#pragma once

#include <filesystem>
#include <string>

#include "sgmae/io/tensors.h"

namespace sgmae {

struct TensorFile {
  NamedTensors tensors;
  Metadata metadata;  // the header's __metadata__

  const at::Tensor* find(const std::string& name) const {  // nullptr when absent
    return find_tensor(tensors, name);
  }
};

// Copies every tensor out of the file. Throws Error(checkpoint) on anything malformed
// (parse_safetensors_header).
TensorFile read_safetensors(const std::filesystem::path& path);

// Atomic (written beside, synced, renamed), with a checksum among its metadata (io/checksum.h).
// Tensors are made contiguous and moved to the CPU.
void write_safetensors(const std::filesystem::path& path, const NamedTensors& tensors,
                       const Metadata& metadata = {});

}  // namespace sgmae
