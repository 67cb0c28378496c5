#include "sgmae/data/canvas_objects.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace sgmae {
namespace {

constexpr double narrowest = 0.1;  // pixels

// From pixels of an image to pixels of the canvas.
class Mapping {
 public:
  Mapping(ImageSize source, const Placement& placed, bool flipped)
      : placed_(placed),
        flipped_(flipped),
        x_scale_(static_cast<double>(placed.scaled.width) / source.width),
        y_scale_(static_cast<double>(placed.scaled.height) / source.height) {}

  double across(double x) const {
    const double moved = x * x_scale_ - placed_.x;
    return flipped_ ? placed_.content.width - moved : moved;
  }
  double down(double y) const { return y * y_scale_ - placed_.y; }
  double back_across(double x) const {
    return ((flipped_ ? placed_.content.width - x : x) + placed_.x) / x_scale_;
  }
  double back_down(double y) const { return (y + placed_.y) / y_scale_; }

 private:
  Placement placed_;
  bool flipped_;
  double x_scale_, y_scale_;
};

PixelBox clipped(const PixelBox& box, ImageSize size) {
  const double width = size.width, height = size.height;
  return {std::clamp(box.left, 0.0, width), std::clamp(box.top, 0.0, height),
          std::clamp(box.right, 0.0, width), std::clamp(box.bottom, 0.0, height)};
}

bool can_be_seen(const PixelBox& box) {
  return box.width() >= narrowest && box.height() >= narrowest;
}

// The whole pixels that a box touches and one more around them, of an image of `size`.
CropBox pixels_around(const PixelBox& box, ImageSize size) {
  const auto begin = [](double x, int side) {
    return static_cast<int>(std::clamp(std::floor(x) - 1, 0.0, static_cast<double>(side)));
  };
  const auto end = [](double x, int side) {
    return static_cast<int>(std::clamp(std::ceil(x) + 1, 0.0, static_cast<double>(side)));
  };
  const int x = begin(box.left, size.width), y = begin(box.top, size.height);
  return {x, y, end(box.right, size.width) - x, end(box.bottom, size.height) - y};
}

std::size_t area_of(const CropBox& box) {
  return static_cast<std::size_t>(box.width) * static_cast<std::size_t>(box.height);
}

// Polygons on the canvas. The rasteriser's grid is a fifth of a pixel, so that it gives the same in
// a rectangle of whole pixels as on all of the canvas.
InstanceMask mask_of_polygons(std::vector<std::vector<double>> polygons, const Mapping& mapping,
                              ImageSize content) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  PixelBox around{infinity, infinity, -infinity, -infinity};
  for (std::vector<double>& points : polygons)
    for (std::size_t i = 0; i + 1 < points.size(); i += 2) {
      const auto limited = [](double x) {
        return std::clamp(x, -largest_coordinate / 2, largest_coordinate / 2);
      };
      points[i] = limited(mapping.across(points[i]));
      points[i + 1] = limited(mapping.down(points[i + 1]));
      around = {std::min(around.left, points[i]), std::min(around.top, points[i + 1]),
                std::max(around.right, points[i]), std::max(around.bottom, points[i + 1])};
    }
  InstanceMask mask;
  mask.place = pixels_around(around, content);
  if (mask.place.width <= 0 || mask.place.height <= 0) return {};
  for (std::vector<double>& points : polygons)
    for (std::size_t i = 0; i + 1 < points.size(); i += 2) {
      points[i] -= mask.place.x;
      points[i + 1] -= mask.place.y;
    }
  mask.inside = mask_of(runs_of_polygons(polygons, {mask.place.width, mask.place.height})).pixels;
  return mask;
}

// Run lengths, of which each pixel of the canvas takes the one under its centre.
InstanceMask mask_of_runs(const Runs& runs, const Placement& placed, bool flipped) {
  const Mapping mapping(runs.size, placed, flipped);
  const CropBox object = box_around(runs);
  if (object.width <= 0 || object.height <= 0) return {};
  PixelBox around{mapping.across(object.x), mapping.down(object.y),
                  mapping.across(object.x + object.width), mapping.down(object.y + object.height)};
  if (flipped) std::swap(around.left, around.right);
  InstanceMask mask;
  mask.place = pixels_around(around, placed.content);
  if (mask.place.width <= 0 || mask.place.height <= 0) return {};
  mask.inside.resize(area_of(mask.place));

  std::vector<std::int64_t> ends;  // of the runs
  std::int64_t end = 0;
  for (const std::uint32_t count : runs.counts) ends.push_back(end += count);
  // The pixel of a side of `source` pixels under the centre of pixel i of `scaled` ones.
  const auto under = [](std::int64_t i, std::int64_t scaled, std::int64_t source) {
    return (2 * i + 1) * source / (2 * scaled);
  };
  std::vector<std::int64_t> rows;
  for (int y = 0; y < mask.place.height; ++y)
    rows.push_back(under(placed.y + mask.place.y + y, placed.scaled.height, runs.size.height));
  for (int x = 0; x < mask.place.width; ++x) {
    const int there = flipped ? placed.content.width - 1 - mask.place.x - x : mask.place.x + x;
    const std::int64_t column = under(placed.x + there, placed.scaled.width, runs.size.width);
    const std::int64_t top = column * runs.size.height;
    auto run = std::upper_bound(ends.begin(), ends.end(), top + rows[0]);
    for (int y = 0; y < mask.place.height; ++y) {
      while (*run <= top + rows[static_cast<std::size_t>(y)]) ++run;
      mask.inside[static_cast<std::size_t>(y) * static_cast<std::size_t>(mask.place.width) +
                  static_cast<std::size_t>(x)] = (run - ends.begin()) % 2;
    }
  }
  return mask;
}

// Without the empty rows and columns around it; nothing of a mask without any object.
InstanceMask trimmed(const InstanceMask& mask) {
  int left = mask.place.width, top = mask.place.height, right = -1, bottom = -1;
  const std::uint8_t* inside = mask.inside.data();
  for (int y = 0; y < mask.place.height; ++y)
    for (int x = 0; x < mask.place.width; ++x)
      if (*inside++) {
        left = std::min(left, x);
        right = std::max(right, x);
        top = std::min(top, y);
        bottom = std::max(bottom, y);
      }
  if (right < 0) return {};
  InstanceMask part;
  part.place = {mask.place.x + left, mask.place.y + top, right + 1 - left, bottom + 1 - top};
  part.inside.reserve(area_of(part.place));
  for (int y = top; y <= bottom; ++y) {
    const auto row = mask.inside.begin() + static_cast<std::ptrdiff_t>(y) * mask.place.width;
    part.inside.insert(part.inside.end(), row + left, row + right + 1);
  }
  return part;
}

}  // namespace

CanvasObjects on_canvas(std::span<const Instance> objects, ImageSize source,
                        const Placement& placed, bool flipped, bool masks) {
  const Mapping mapping(source, placed, flipped);
  CanvasObjects seen;
  for (const Instance& object : objects) {
    PixelBox box{mapping.across(object.box.left), mapping.down(object.box.top),
                 mapping.across(object.box.right), mapping.down(object.box.bottom)};
    if (flipped) std::swap(box.left, box.right);
    box = clipped(box, placed.content);
    InstanceMask mask;
    if (masks && !object.crowd && !object.shape.empty()) {
      mask = trimmed(object.shape.runs.counts.empty()
                         ? mask_of_polygons(object.shape.polygons, mapping, placed.content)
                         : mask_of_runs(object.shape.runs, placed, flipped));
      if (mask.inside.empty()) continue;
      const CropBox& place = mask.place;
      box = {static_cast<double>(place.x), static_cast<double>(place.y),
             static_cast<double>(place.x + place.width),
             static_cast<double>(place.y + place.height)};
    }
    if (!can_be_seen(box)) continue;
    if (object.crowd)
      seen.crowds.push_back(box);
    else
      seen.objects.push_back({box, object.category, std::move(mask)});
  }
  return seen;
}

PixelBox on_source(const PixelBox& box, ImageSize source, const Placement& placed, bool flipped) {
  const Mapping mapping(source, placed, flipped);
  PixelBox back{mapping.back_across(box.left), mapping.back_down(box.top),
                mapping.back_across(box.right), mapping.back_down(box.bottom)};
  if (flipped) std::swap(back.left, back.right);
  return clipped(back, source);
}

}  // namespace sgmae
