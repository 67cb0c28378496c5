// Internal to data/: what was learned by a long look at a data set, kept for the next time. A cache
// that is missing, damaged or not writable costs time and nothing else.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace sgmae {

// $XDG_CACHE_HOME/sgmae, else ~/.cache/sgmae; empty where neither is set.
std::filesystem::path user_cache_folder();

// A cache about the file or folder `about`: beside it, where that is asked for and can be written,
// or else in the user's cache folder under a name made from its absolute path.
struct CachePlace {
  std::filesystem::path about;
  std::string kind;           // file extension, and the first bytes of the file
  std::uint32_t version = 1;  // another version counts as missing
  bool beside = false;
};

// The contents last written, checked against their checksum; nothing when there are none.
std::optional<std::vector<std::uint8_t>> read_cache(const CachePlace& place);

// Never throws for a place that cannot be written.
void write_cache(const CachePlace& place, std::span<const std::uint8_t> contents);

}  // namespace sgmae
