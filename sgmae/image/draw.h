// Drawing on RGB images: what the picture sheets are made of. Positions may lie outside the image.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

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

// RGB pictures in a row on white.
Image side_by_side(const std::vector<Image>& pictures);

// UTF-8 text, each letter 5 x 7 dots and two rows below the line, each dot `scale` pixels. ASCII is
// drawn; anything else is a hollow box.
void write_text(Image& canvas, const std::string& text, int x, int y, int scale, Colour colour);
int text_width(const std::string& text, int scale);

// 0 … 1 to dark blue, green, yellow: darker is less, also in print.
Colour heat(double value);

}  // namespace sgmae
