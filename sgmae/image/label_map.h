// The classes of an image's pixels, as PNG files hold them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sgmae/image/draw.h"
#include "sgmae/image/geometry.h"

namespace sgmae {

struct LabelMap {
  ImageSize size;
  std::vector<std::uint8_t> labels;  // [height, width]; 0 .. classes - 1, or unlabelled
};

// Of no class.
inline constexpr std::uint8_t unlabelled_pixel = 255;

// The values of a PNG of labels as they are stored: indices of a palette, or grey, of 1, 2, 4 or 8
// bits (grey of few bits is not stretched to 255). Like an image it is turned upright as its own
// orientation tag says, should it have one. `map` is overwritten, its memory used again. Throws
// Error(data), without the file's name, for what is damaged, no PNG, in colour, with transparency
// or of 16 bits.
void read_label_map(std::span<const std::uint8_t> bytes, LabelMap& map);
LabelMap read_label_map(std::span<const std::uint8_t> bytes);

// The bytes of a PNG with a palette: indices are the labels, colours are label_colour().
std::vector<std::uint8_t> encode_label_png(const LabelMap& map);

// Pascal VOC's colour of a class: bit 3i of the number is bit 7 - i of red, bits 3i + 1 and 3i + 2
// those of green and blue. 0 is black.
Colour label_colour(std::uint8_t label);

// What inputs `length` outputs from `begin` on take where `in` values become `out` by Pillow 13's
// NEAREST: the one under an output's middle.
std::vector<int> nearest_inputs(int in, int out, int begin, int length);

// The part `window` of the rectangle `box` of `source` resized to `scaled` by Pillow's NEAREST,
// with `flip` then mirrored left to right. `result` is overwritten, its memory used again.
void resize_labels(const LabelMap& source, const CropBox& box, ImageSize scaled,
                   const CropBox& window, bool flip, LabelMap& result);

}  // namespace sgmae
