// Internal to data/: the IDX format: four bytes 0, 0, type, number of dimensions; the dimensions as
// big-endian 32-bit numbers; the values. Only bytes (type 8) are read.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace sgmae {

struct Idx {
  std::vector<std::int64_t> shape;
  std::vector<std::uint8_t> values;
};

// Fills its argument with what comes next; how much of it could be filled.
using ReadNext = std::function<std::size_t(std::span<std::uint8_t>)>;

// Throws Error(data), beginning with `name`, for what is not such a file of that many dimensions.
// Takes memory as the file's values come in, not as its header promises.
Idx read_idx(const ReadNext& read, std::size_t dimensions, const std::string& name);

}  // namespace sgmae
