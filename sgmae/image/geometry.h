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

// A box between pixels: the image is 0 to its width across and 0 to its height down.
struct PixelBox {
  double left = 0, top = 0, right = 0, bottom = 0;

  double width() const { return right - left; }
  double height() const { return bottom - top; }
  double area() const { return width() * height(); }
  bool operator==(const PixelBox&) const = default;
};

inline CropBox whole(ImageSize size) {
  return {0, 0, size.width, size.height};
}

}  // namespace sgmae
