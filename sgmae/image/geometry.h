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

// Where an image came to lie on a canvas: resized to `scaled`, of which `content` pixels from
// (x, y) on fill the canvas's upper left corner, perhaps mirrored there afterwards. So what is at
// X of the source is at X * scaled.width / source.width - x of the canvas, and mirrored at
// content.width minus that.
struct Placement {
  ImageSize scaled;
  int x = 0, y = 0;
  ImageSize content;
  bool operator==(const Placement&) const = default;
};

inline CropBox whole(ImageSize size) {
  return {0, 0, size.width, size.height};
}

}  // namespace sgmae
