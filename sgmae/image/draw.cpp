#include "sgmae/image/draw.h"

#include <algorithm>
#include <cmath>

namespace sgmae {
namespace {

// The part of a box that lies on the canvas.
CropBox clipped(const Image& canvas, const CropBox& box) {
  const int left = std::clamp(box.x, 0, canvas.width), top = std::clamp(box.y, 0, canvas.height);
  const int right = std::clamp(box.x + box.width, left, canvas.width);
  const int bottom = std::clamp(box.y + box.height, top, canvas.height);
  return {left, top, right - left, bottom - top};
}

}  // namespace

Image blank_image(ImageSize size, Colour colour) {
  Image image{size.width, size.height, 3, {}};
  image.pixels.resize(static_cast<std::size_t>(size.width) * size.height * 3);
  for (std::size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = colour[i % 3];
  return image;
}

void fill(Image& canvas, const CropBox& box, Colour colour) {
  tint(canvas, box, colour, 1.0);
}

void tint(Image& canvas, const CropBox& box, Colour colour, double strength) {
  const CropBox inside = clipped(canvas, box);
  for (int y = inside.y; y < inside.y + inside.height; ++y) {
    std::uint8_t* row =
        canvas.pixels.data() + (static_cast<std::size_t>(y) * canvas.width + inside.x) * 3;
    for (int i = 0; i < inside.width * 3; ++i)
      row[i] = static_cast<std::uint8_t>(std::lround(row[i] + strength * (colour[i % 3] - row[i])));
  }
}

void outline(Image& canvas, const CropBox& box, Colour colour, int width) {
  fill(canvas, {box.x, box.y, box.width, width}, colour);
  fill(canvas, {box.x, box.y + box.height - width, box.width, width}, colour);
  fill(canvas, {box.x, box.y, width, box.height}, colour);
  fill(canvas, {box.x + box.width - width, box.y, width, box.height}, colour);
}

void paste(Image& canvas, const ImageView& picture, int x, int y, int scale) {
  for (int row = 0; row < picture.height; ++row)
    for (int column = 0; column < picture.width; ++column) {
      const std::uint8_t* pixel = picture.row(row) + column * picture.channels;
      const Colour colour = picture.channels == 1 ? Colour{pixel[0], pixel[0], pixel[0]}
                                                  : Colour{pixel[0], pixel[1], pixel[2]};
      fill(canvas, {x + column * scale, y + row * scale, scale, scale}, colour);
    }
}

Colour heat(double value) {
  // Anchors of even steps in lightness; between them, straight lines.
  constexpr double anchors[5][3] = {
      {48, 18, 92}, {52, 82, 140}, {32, 145, 140}, {110, 200, 90}, {250, 230, 60}};
  const double at = std::clamp(std::isnan(value) ? 0.0 : value, 0.0, 1.0) * 4;
  const int low = std::min(3, static_cast<int>(at));
  Colour colour{};
  for (int c = 0; c < 3; ++c)
    colour[c] = static_cast<std::uint8_t>(
        std::lround(anchors[low][c] + (at - low) * (anchors[low + 1][c] - anchors[low][c])));
  return colour;
}

}  // namespace sgmae
