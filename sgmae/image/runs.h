// Masks as run lengths: COCO's RLE, with pycocotools' arithmetic (2.0.11), which results are
// compared by.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sgmae/image/geometry.h"
#include "sgmae/image/image.h"

namespace sgmae {

// Numbers of pixels down the columns, one column after the other: not object and object in turn.
// They add up to the image. Only the first is 0, where the first pixel is object (those of others
// may have more such). No counts: no mask.
struct Runs {
  ImageSize size;
  std::vector<std::uint32_t> counts;

  bool operator==(const Runs&) const = default;
};

// No side of a mask and no coordinate of a polygon may be larger.
inline constexpr double largest_coordinate = 1e6;

// The runs of COCO's compressed text. Throws Error(data), without naming a file, for anything else,
// and where they do not add up to an image of that size.
Runs runs_of_text(std::string_view text, ImageSize size);
Runs runs_of_counts(std::vector<std::uint32_t> counts, ImageSize size);  // throws likewise
std::string text_of(const Runs& runs);

// What pycocotools makes of the polygons x0 y0 x1 y1 … in pixels, at least three points each: all
// of their insides, by crossings on a grid five times as fine. Coordinates are at most
// largest_coordinate, and may be outside the image.
Runs runs_of_polygons(std::span<const std::vector<double>> polygons, ImageSize size);

// The outline of an object, as annotations give it; neither where there is only a box.
struct Shape {
  std::vector<std::vector<double>> polygons;  // its parts, x0 y0 x1 y1 … in pixels, each three
                                              // points or more
  Runs runs;

  bool empty() const { return polygons.empty() && runs.counts.empty(); }
};

// Its mask in an image of `size`; run lengths keep their own.
Runs runs_of(const Shape& shape, ImageSize size);

// The area inside polygons that do not meet, in pixels.
double area_inside(std::span<const std::vector<double>> polygons);

Runs runs_of_mask(const ImageView& mask);  // one channel, object where it is not 0
Image mask_of(const Runs& runs);           // one channel, 0 and 1

std::int64_t area_of(const Runs& runs);   // pixels
CropBox box_around(const Runs& runs);     // of width and height 0 where there is no object
Runs united(std::span<const Runs> runs);  // of one size, at least one

// Pixels that both have. The sizes must be equal.
std::int64_t common_area(const Runs& a, const Runs& b);

// Intersection over union; over the first one's area where the second is a crowd. 0 where they have
// no pixel in common.
double overlap(const Runs& a, const Runs& b, bool b_is_crowd);

}  // namespace sgmae
