// Packed data sets: one file that holds a data set's images, labels and names, for fast reading.
//
// Layout, numbers little-endian (docs/data.md describes it byte by byte):
//   header   64 bytes: magic, version, where the index is, checksums
//   images   each: size and CRC-32 in 32 bits each, then a whole image file of any type read
//   index    offset, size, CRC-32 and label of each image; class names; image names
// Writing goes on where a killed run stopped: until the index is in place the file is called
// NAME.part, and its frames say themselves what is there.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sgmae/data/source.h"

namespace sgmae {

inline constexpr std::size_t pack_header_size = 64;

struct PackHeader {
  int native_channels = 3;
  std::uint64_t fingerprint = 0;  // of what is packed and how; a pack is only resumed with its own
  std::uint64_t index_offset = 0, index_size = 0;  // 0: not finished
  std::uint32_t index_crc = 0;
};

struct PackIndex {
  struct Record {
    std::uint64_t offset = 0;
    std::uint32_t size = 0, crc = 0;
    std::int32_t label = -1;
  };
  std::vector<Record> records;
  std::vector<std::string> class_names, names;  // names: one an image
};

// Both throw Error(data), without the file's name, for what is no pack, is damaged, of another
// version, or points outside of a file of `file_size` bytes. Memory is in proportion to the bytes.
PackHeader read_pack_header(std::span<const std::uint8_t> bytes, std::uint64_t file_size);
PackIndex read_pack_index(std::span<const std::uint8_t> bytes, const PackHeader& header);

// The pack of a split in a folder (train.sgpack, val.sgpack …).
std::optional<std::filesystem::path> find_pack(const std::filesystem::path& folder,
                                               const std::string& split);

// A pack, or the folder it is in. For another split than "train": the pack beside it of that name.
// Each image is checked against its checksum when it is opened.
std::unique_ptr<Source> open_pack(const std::filesystem::path& path, const std::string& split);

struct PackOptions {
  int max_side = 0;  // larger images are scaled to this longer side and stored as JPEG; 0: as found
  int quality = 95;  // of those JPEG files
  int num_workers = 2;
};

struct PackReport {
  std::int64_t images = 0;            // in the pack
  std::int64_t resumed = 0;           // of the source's images, taken over from a killed run
  std::int64_t scaled = 0;            // images scaled by this run
  std::uint64_t bytes = 0;            // of the file
  std::vector<std::string> left_out;  // unreadable images, "name: reason"
};

// Writes `path`. Unreadable images are left out and reported. Throws Error(usage) when `path`
// exists, cannot be written, or is being written by another process; Error(data) when no image can
// be read.
PackReport write_pack(const Source& source, const std::filesystem::path& path,
                      const PackOptions& options);

}  // namespace sgmae
