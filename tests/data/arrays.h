// Data sets of NumPy arrays, made for a test.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sgmae/io/npy_header.h"
#include "tests/data/folder.h"

namespace sgmae {

// A .npy of uint16 [H, W, C] in which image `i` is brighter than the one before, and every channel
// has a range of its own.
inline std::string array_file(int i, int channels, int width = 12, int height = 10) {
  std::string bytes = npy_header(DType::u16, std::vector<std::int64_t>{height, width, channels});
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < channels; ++c) {
        const int value = 100 * (i + 1) + 1000 * c + 7 * x + 31 * y * (c + 1);
        bytes += static_cast<char>(value & 255);
        bytes += static_cast<char>(value >> 8 & 255);
      }
  return bytes;
}

// So many of them, by turns in the classes a and b.
class ArrayFolder : public Folder {
 public:
  ArrayFolder(int images, int channels, int width = 12, int height = 10) {
    for (int i = 0; i < images; ++i)
      write(str(i % 2 == 0 ? "a/" : "b/", 1000 + i, ".npy"),
            array_file(i, channels, width, height));
  }
};

}  // namespace sgmae
