// Files in the format of MNIST.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sgmae {

// An IDX file of bytes.
inline std::string idx(const std::vector<std::uint32_t>& shape,
                       const std::vector<std::uint8_t>& values) {
  std::string file{'\0', '\0', '\x08', static_cast<char>(shape.size())};
  for (const std::uint32_t length : shape)
    for (const int shift : {24, 16, 8, 0}) file += static_cast<char>(length >> shift & 0xff);
  return file.append(values.begin(), values.end());
}

}  // namespace sgmae
