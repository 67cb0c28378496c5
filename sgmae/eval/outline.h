// Outlines of objects, as annotation files give them, made into what the model sees of them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "sgmae/analysis/coverage.h"
#include "sgmae/eval/objects.h"

namespace sgmae {

// One object. What is given first of runs, polygons and box is what counts.
struct Outline {
  // Numbers of pixels down the columns, not object and object in turn, of the whole image.
  std::vector<std::uint32_t> runs;
  // x0 y0 x1 y1 …, in pixels from the image's upper left corner; pixels are inside by the even-odd
  // rule at their centres. Several are the parts of one object.
  std::vector<std::vector<float>> polygons;
  GridBox box;  // in pixels
};

// The runs of COCO's compressed text (pycocotools' rleToString). Throws Error(data), without naming
// a file, for anything else.
std::vector<std::uint32_t> runs_of_text(std::string_view text);

// Throws Error(data) unless the runs are of an image of that size.
void check_runs(std::span<const std::uint32_t> runs, const ImageSize& size);

// What the model sees of the outlines in `crop` of an image of `size`: one box around the visible
// part of each, and a mask unless all are boxes. No boxes where it sees none.
MarkedObjects seen_of(std::span<const Outline> outlines, const ImageSize& size,
                      const CropBox& crop);

// The smallest box around all of a mask that is not 0, in fractions of it; none for an empty mask.
std::optional<GridBox> box_around(const Image& mask);

}  // namespace sgmae
