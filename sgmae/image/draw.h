// Drawing on RGB images: what the picture sheets are made of. Positions may lie outside the image.
#pragma once

#include <array>
#include <cstdint>

#include "sgmae/image/image.h"

namespace sgmae {

using Colour = std::array<std::uint8_t, 3>;

Image blank_image(ImageSize size, Colour colour);

void fill(Image& canvas, const CropBox& box, Colour colour);

// Mixes `colour` into the box: 0 leaves it, 1 replaces it.
void tint(Image& canvas, const CropBox& box, Colour colour, double strength);

// The box's border, `width` pixels wide, inside the box.
void outline(Image& canvas, const CropBox& box, Colour colour, int width);

// A copy of `picture` (1 or 3 channels), each pixel `scale` x `scale` large.
void paste(Image& canvas, const ImageView& picture, int x, int y, int scale);

// 0 … 1 to dark blue, green, yellow: darker is less, also in print.
Colour heat(double value);

}  // namespace sgmae
