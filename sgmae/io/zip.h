// Zip archives: reading what torch.save, numpy.savez and zip write (stored and deflated entries,
// zip64), and writing archives of stored entries. The directory is checked before anything is read:
// entries lie within the file, apart from one another, and unfold to no more than kZipMaxRatio
// times the file, which keeps out zip bombs.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sgmae/base/error.h"

namespace sgmae {

inline constexpr std::uint64_t kZipMaxRatio = 100;

struct ZipEntry {
  std::string name;
  std::uint64_t offset = 0;        // of its data in the file
  std::uint64_t stored_bytes = 0;  // there
  std::uint64_t bytes = 0;         // unfolded
  std::uint32_t crc = 0;           // of the unfolded bytes
  bool deflated = false;
};

struct ZipArchive {
  std::span<const std::uint8_t> file;  // must outlive this
  std::string where;                   // begins messages
  ExitCode code = ExitCode::checkpoint;
  std::vector<ZipEntry> entries;  // in the order of the directory

  const ZipEntry* find(std::string_view name) const;  // nullptr when absent
};

// Throws Error with `code` where the directory is damaged, hostile, encrypted or in several parts.
ZipArchive read_zip_directory(std::span<const std::uint8_t> file, const std::string& where,
                              ExitCode code = ExitCode::checkpoint);

struct ZipContent {
  std::vector<std::uint8_t> inflated;   // empty where the entry is stored as it is
  std::span<const std::uint8_t> bytes;  // into the file or `inflated`
};

// One entry's bytes, compared with their checksum. Throws Error where they differ. A checksum of 0
// is not looked at: torch writes it where its user has turned checksums off.
ZipContent read_zip_entry(const ZipArchive& archive, const ZipEntry& entry);

// Writes stored entries with zip64 fields, each beginning at a multiple of 64 bytes, as torch.save
// does so that tensors can be mapped.
class ZipWriter {
 public:
  using Sink = std::function<void(std::string_view)>;  // takes the archive, piece by piece

  explicit ZipWriter(Sink sink) : sink_(std::move(sink)) {}

  void add(const std::string& name, std::span<const std::uint8_t> bytes);
  void finish();  // writes the directory

 private:
  void write(std::string_view bytes);

  Sink sink_;
  std::uint64_t position_ = 0;
  std::uint64_t entries_ = 0;
  std::string directory_;
};

}  // namespace sgmae
