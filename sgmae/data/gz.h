// Internal to data/: a file read from front to back, gzipped or not.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

struct gzFile_s;

namespace sgmae {

class GzFile {
 public:
  // Throws Error(data) when it cannot be opened.
  explicit GzFile(const std::filesystem::path& path);
  ~GzFile();
  GzFile(const GzFile&) = delete;
  GzFile& operator=(const GzFile&) = delete;

  // Fills `out` as far as the file goes; how much that was. Damaged compression ends the file.
  std::size_t read(std::span<std::uint8_t> out);

 private:
  gzFile_s* file_;
};

}  // namespace sgmae
