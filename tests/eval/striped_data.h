// A labelled data set that pixels alone decide.
#pragma once

#include <filesystem>
#include <string>

#include "sgmae/base/file.h"

namespace sgmae::striped {

inline void append_number(std::string& bytes, std::int64_t value) {
  for (const int shift : {24, 16, 8, 0}) bytes += static_cast<char>(value >> shift & 255);
}

// IDX images and labels: class 0 horizontal stripes, 1 vertical ones, 2 plain; brightness varies.
inline void write_part(const std::filesystem::path& folder, const std::string& part, int count,
                       bool labels) {
  std::string images{'\0', '\0', '\x08', '\x03'}, classes{'\0', '\0', '\x08', '\x01'};
  for (const int size : {count, 16, 16}) append_number(images, size);
  append_number(classes, count);
  for (int i = 0; i < count; ++i) {
    const int label = i % 3;
    classes += static_cast<char>(label);
    for (int row = 0; row < 16; ++row)
      for (int column = 0; column < 16; ++column) {
        const bool bright = label == 0 ? row % 4 < 2 : label == 1 ? column % 4 < 2 : true;
        images += static_cast<char>(bright ? 150 + i % 100 : 20);
      }
  }
  write_file(folder / (part + "-images-idx3-ubyte"), images);
  if (labels) write_file(folder / (part + "-labels-idx1-ubyte"), classes);
}

}  // namespace sgmae::striped
