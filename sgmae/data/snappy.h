// Internal to data/: parts of what Snappy compressed, for which the whole need not be unpacked.
//
// Snappy's format refers back to what was unpacked before; its compressors do so within pieces of
// 64 KiB each. Such pieces are found once, and unpacked alone from then on.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace sgmae {

struct SnappyPiece {
  std::uint64_t stored = 0, unpacked = 0;  // where it begins, in bytes

  bool operator==(const SnappyPiece&) const = default;
};

// The pieces of a whole Snappy text, and the end as one more; empty where it cannot be divided, or
// is not of `size` bytes unpacked, or damaged.
std::vector<SnappyPiece> snappy_pieces(std::span<const std::uint8_t> stored, std::uint64_t size);

// Unpacks from a piece's beginning until `out` is full. Throws Error(data) where the bytes are
// damaged or refer to what was before.
void unpack_snappy(std::span<const std::uint8_t> stored, std::span<std::uint8_t> out);

}  // namespace sgmae
