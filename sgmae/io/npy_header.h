// What stands at the start of NumPy's .npy files. Torch-free, so that it is fuzzed without it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sgmae/io/dtype.h"

namespace sgmae {

struct NpyHeader {
  DType type = DType::f32;
  bool column_major = false;
  std::vector<std::int64_t> shape;
  std::span<const std::uint8_t> data;  // as long as type and shape say
};

// Throws Error(data), which `where` begins, on anything malformed and on types other than
// little-endian numbers and truth values.
NpyHeader parse_npy_header(std::span<const std::uint8_t> file, const std::string& where);

// The bytes before the data of a C-ordered array, in version 1 of the format. `type` is not bf16.
std::string npy_header(DType type, std::span<const std::int64_t> shape);

}  // namespace sgmae
