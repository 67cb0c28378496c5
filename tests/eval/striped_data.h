// A labelled data set that pixels alone decide.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sgmae/base/file.h"

#include "tests/support/idx.h"

namespace sgmae::striped {

// IDX images and labels: class 0 horizontal stripes, 1 vertical ones, 2 plain; brightness varies.
inline void write_part(const std::filesystem::path& folder, const std::string& part, int count,
                       bool labels) {
  std::vector<std::uint8_t> pixels, classes;
  for (int i = 0; i < count; ++i) {
    const int label = i % 3;
    classes.push_back(static_cast<std::uint8_t>(label));
    for (int row = 0; row < 16; ++row)
      for (int column = 0; column < 16; ++column) {
        const bool bright = label == 0 ? row % 4 < 2 : label == 1 ? column % 4 < 2 : true;
        pixels.push_back(static_cast<std::uint8_t>(bright ? 150 + i % 100 : 20));
      }
  }
  const auto images = static_cast<std::uint32_t>(count);
  write_file(folder / (part + "-images-idx3-ubyte"), idx({images, 16, 16}, pixels));
  if (labels) write_file(folder / (part + "-labels-idx1-ubyte"), idx({images}, classes));
}

}  // namespace sgmae::striped
