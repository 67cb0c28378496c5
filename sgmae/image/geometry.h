// Sizes and rectangles in pixels.
#pragma once

namespace sgmae {

struct ImageSize {
  int width = 0, height = 0;
  bool operator==(const ImageSize&) const = default;
};

// A rectangle of an image, in its pixels (after EXIF orientation).
struct CropBox {
  int x = 0, y = 0, width = 0, height = 0;
  bool operator==(const CropBox&) const = default;
};

inline CropBox whole(ImageSize size) {
  return {0, 0, size.width, size.height};
}

}  // namespace sgmae
