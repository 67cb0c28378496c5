// What stands at the start of a safetensors file. Torch-free, so that it is fuzzed without it.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "sgmae/io/dtype.h"

namespace sgmae {

struct SafetensorsEntry {
  std::string name;
  DType type = DType::f32;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0, end = 0;  // in the data
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  // in the order of their data, without gap or overlap
  std::map<std::string, std::string> metadata;  // the header's __metadata__
  std::span<const std::uint8_t> data;           // behind the header, as long as the entries say
};

// Throws Error(checkpoint), which `where` begins, on anything malformed: offsets outside the file,
// overlaps, gaps, shapes that do not fit, types not of DType, booleans other than 0 and 1, NUL
// bytes.
SafetensorsHeader parse_safetensors_header(std::span<const std::uint8_t> file,
                                           const std::string& where);

}  // namespace sgmae
