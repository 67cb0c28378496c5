// An IDX file of grey images of random brightness.
#pragma once

#include <filesystem>
#include <string>

#include "sgmae/base/file.h"

namespace sgmae {

inline void write_grey_images(const std::filesystem::path& folder, int count) {
  std::string bytes{'\0', '\0', '\x08', '\x03'};
  for (const int size : {count, 16, 16})
    for (const int shift : {24, 16, 8, 0}) bytes += static_cast<char>(size >> shift & 255);
  for (int i = 0; i < count; ++i)
    bytes += std::string(16 * 16, static_cast<char>(100 + 37 * i % 150));
  std::filesystem::create_directories(folder);
  write_file(folder / "train-images-idx3-ubyte", bytes);
}

}  // namespace sgmae
