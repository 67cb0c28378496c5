// Files read whole, written atomically, or mapped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sgmae/base/error.h"

namespace sgmae {

// The whole file. Throws Error with `code` when it cannot be read or has more than `most` bytes,
// which no such file has: a sparse file may claim any size.
inline constexpr std::uint64_t largest_whole_file = std::uint64_t{1} << 32;
std::vector<std::uint8_t> read_file(const std::filesystem::path& path,
                                    ExitCode code = ExitCode::data,
                                    std::uint64_t most = largest_whole_file);
std::string read_text(const std::filesystem::path& path, ExitCode code = ExitCode::usage);

// The exit code of a write that failed with this errno: disk_full for a full disk, a quota or a
// limit on the size of files; else usage.
ExitCode code_of_failed_write(int error);

// A file being written beside its final name: commit() syncs it to disk and renames it over `path`;
// without commit() the destructor removes it, so that a reader sees the old file or the new, never
// a part. Throws Error: usage when the folder is not writable, disk_full.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, std::size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  // Overwrites bytes that were written before; the end, where write() goes on, stays.
  void write_at(std::size_t offset, const void* data, std::size_t bytes);
  const std::filesystem::path& temporary() const { return temporary_; }  // until commit()
  void commit();

 private:
  std::filesystem::path path_, temporary_;
  int descriptor_ = -1;
};

void write_file(const std::filesystem::path& path, std::string_view contents);

// Removes what killed processes left of files they were writing in `folder` (not below it); only
// for folders that nobody else writes to.
void remove_unfinished_files(const std::filesystem::path& folder);

// Appends `bytes` to the file, which is made where it is missing: all of them, or else none and
// Error (usage or disk_full) with the reason, so that logs and event files stay readable.
void append_file(const std::filesystem::path& path, std::string_view bytes);

// A file read at any place, by several threads at once. Throws Error with `code` when it cannot be
// opened or does not hold what is read.
class RandomAccessFile {
 public:
  explicit RandomAccessFile(const std::filesystem::path& path, ExitCode code = ExitCode::data);
  ~RandomAccessFile();
  RandomAccessFile(const RandomAccessFile&) = delete;
  RandomAccessFile& operator=(const RandomAccessFile&) = delete;

  std::uint64_t size() const { return size_; }                         // bytes, when it was opened
  void read(std::uint64_t offset, std::span<std::uint8_t> out) const;  // fills all of `out`

 private:
  std::filesystem::path path_;
  ExitCode code_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
};

// A file mapped read-only. Throws Error with `code` when it cannot be opened.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path, ExitCode code = ExitCode::data);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  std::span<const std::uint8_t> bytes() const { return {data_, size_}; }

 private:
  const std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace sgmae
