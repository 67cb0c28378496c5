// Internal to data/: what the reader and the writer of packed data sets share.
#pragma once

#include <array>
#include <cstdint>

namespace sgmae {

// The first byte is no text and the line end does not survive a transfer as text.
inline constexpr std::array<std::uint8_t, 8> pack_magic{0x89, 'S', 'G', 'P', 'A', 'C', 'K', '\n'};
inline constexpr std::uint32_t pack_version = 1;

}  // namespace sgmae
