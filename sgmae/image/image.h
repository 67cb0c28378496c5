// Pixels in memory: 8 bits a value, channels interleaved.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "sgmae/image/geometry.h"

namespace sgmae {

struct Image {
  int width = 0, height = 0, channels = 0;  // channels: 1 grey, 3 red green blue
  std::vector<std::uint8_t> pixels;         // [height, width, channels]

  ImageSize size() const { return {width, height}; }
};

// Sets size and channels of `image` and makes room; its pixels are then undefined.
void reshape(Image& image, ImageSize size, int channels);

// Somebody else's pixels, perhaps a part of a larger image.
struct ImageView {
  const std::uint8_t* data = nullptr;  // [height, width, channels], rows `stride` bytes apart
  int width = 0, height = 0, channels = 0;
  std::ptrdiff_t stride = 0;

  const std::uint8_t* row(int y) const { return data + y * stride; }
};

inline ImageView view(const Image& image) {
  return {image.pixels.data(), image.width, image.height, image.channels,
          static_cast<std::ptrdiff_t>(image.width) * image.channels};
}

inline ImageView crop(const ImageView& source, const CropBox& box) {
  return {source.row(box.y) + static_cast<std::ptrdiff_t>(box.x) * source.channels, box.width,
          box.height, source.channels, source.stride};
}

}  // namespace sgmae
