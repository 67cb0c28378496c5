// Outlines of objects, as annotation files give them, made into what the model sees of them.
#pragma once

#include <optional>
#include <span>

#include "sgmae/analysis/coverage.h"
#include "sgmae/eval/objects.h"
#include "sgmae/image/runs.h"

namespace sgmae {

// One object: a shape, whose polygons hold the pixels whose centres are inside by the even-odd
// rule, or else a box.
struct Outline {
  Shape shape;
  GridBox box;  // in pixels
};

// What the model sees of the outlines in `crop` of an image of `size`: one box around the visible
// part of each, and a mask unless all are boxes. No boxes where it sees none.
MarkedObjects seen_of(std::span<const Outline> outlines, const ImageSize& size,
                      const CropBox& crop);

// The smallest box around all of a mask that is not 0, in fractions of it; none for an empty mask.
std::optional<GridBox> box_around(const Image& mask);

}  // namespace sgmae
