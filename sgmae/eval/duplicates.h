// Images that are twice in a data set.
#pragma once

#include <cstdint>
#include <vector>

#include "sgmae/data/source.h"

namespace sgmae {

// Images whose files have the same bytes (of raw pixels: the same pixels), each group of two or
// more in order, groups by their first image. Files are read and not decoded, on `threads` threads;
// those that cannot be read are left out. Two are taken for the same by a 64-bit checksum and their
// length.
std::vector<std::vector<std::int64_t>> equal_images(const Source& source, int threads);

// Groups joined where they have a member in common; in the same order.
std::vector<std::vector<std::int64_t>> joined_groups(
    const std::vector<std::vector<std::int64_t>>& a,
    const std::vector<std::vector<std::int64_t>>& b);

}  // namespace sgmae
