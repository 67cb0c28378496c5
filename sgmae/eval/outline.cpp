#include "sgmae/eval/outline.h"

#include <algorithm>
#include <cmath>
#include <functional>

namespace sgmae {
namespace {

// A box in pixels of the image as fractions of the crop; none where they do not meet.
std::optional<GridBox> in_crop(const GridBox& box, const CropBox& crop) {
  const auto across = [&](double x) { return std::clamp((x - crop.x) / crop.width, 0.0, 1.0); };
  const auto down = [&](double y) { return std::clamp((y - crop.y) / crop.height, 0.0, 1.0); };
  const GridBox seen{across(box.left), down(box.top), across(box.right), down(box.bottom)};
  if (!(seen.left < seen.right && seen.top < seen.bottom)) return {};
  return seen;
}

Image empty_mask(const CropBox& crop) {
  Image mask{crop.width, crop.height, 1, {}};
  mask.pixels.resize(static_cast<std::size_t>(crop.width) * static_cast<std::size_t>(crop.height));
  return mask;
}

// Of a row of the mask the pixels whose centres lie in [left, right), in pixels of the crop.
void fill(Image& mask, int y, double left, double right) {
  const auto pixel = [&](double x) {
    return static_cast<int>(std::clamp(std::ceil(x - 0.5), 0.0, static_cast<double>(mask.width)));
  };
  const auto row = mask.pixels.begin() + static_cast<std::ptrdiff_t>(y) * mask.width;
  const int begin = pixel(left), end = pixel(right);
  if (begin < end) std::fill(row + begin, row + end, std::uint8_t{1});
}

void paint_box(const GridBox& box, const CropBox& crop, Image& mask) {
  for (int y = 0; y < mask.height; ++y) {
    const double centre = crop.y + y + 0.5;
    if (centre >= box.top && centre < box.bottom)
      fill(mask, y, box.left - crop.x, box.right - crop.x);
  }
}

// Where the polygon's edges cross the middle of each row of the crop.
void paint_polygon(std::span<const double> points, const CropBox& crop, Image& mask) {
  std::vector<std::vector<double>> crossings(static_cast<std::size_t>(mask.height));
  const std::size_t n = points.size() / 2;
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t next = (i + 1) % n;
    double x0 = points[2 * i] - crop.x, y0 = points[2 * i + 1] - crop.y;
    double x1 = points[2 * next] - crop.x, y1 = points[2 * next + 1] - crop.y;
    if (y0 > y1) {
      std::swap(x0, x1);
      std::swap(y0, y1);
    }
    const double rows = mask.height;
    const auto first = static_cast<int>(std::clamp(std::ceil(y0 - 0.5), 0.0, rows));
    const auto end = static_cast<int>(std::clamp(std::ceil(y1 - 0.5), 0.0, rows));
    for (int y = first; y < end; ++y)
      crossings[static_cast<std::size_t>(y)].push_back(x0 +
                                                       (x1 - x0) * ((y + 0.5 - y0) / (y1 - y0)));
  }
  for (int y = 0; y < mask.height; ++y) {
    std::vector<double>& at = crossings[static_cast<std::size_t>(y)];
    std::sort(at.begin(), at.end());
    for (std::size_t i = 0; i + 1 < at.size(); i += 2) fill(mask, y, at[i], at[i + 1]);
  }
}

void paint_runs(std::span<const std::uint32_t> runs, const ImageSize& size, const CropBox& crop,
                Image& mask) {
  std::int64_t at = 0;
  for (std::size_t i = 0; i < runs.size(); at += runs[i++]) {
    if (i % 2 == 0) continue;
    for (std::int64_t pixel = at; pixel < at + runs[i]; ++pixel) {
      const std::int64_t x = pixel / size.height - crop.x, y = pixel % size.height - crop.y;
      if (x >= 0 && x < crop.width && y >= 0 && y < crop.height)
        mask.pixels[static_cast<std::size_t>(y * mask.width + x)] = 1;
    }
  }
}

bool is_box(const Outline& outline) {
  return outline.shape.empty();
}

void paint(const Outline& outline, const ImageSize& size, const CropBox& crop, Image& mask) {
  const Shape& shape = outline.shape;
  if (!shape.runs.counts.empty())
    paint_runs(shape.runs.counts, size, crop, mask);
  else if (!shape.polygons.empty())
    for (const auto& polygon : shape.polygons) paint_polygon(polygon, crop, mask);
  else
    paint_box(outline.box, crop, mask);
}

}  // namespace

MarkedObjects seen_of(std::span<const Outline> outlines, const ImageSize& size,
                      const CropBox& crop) {
  MarkedObjects seen;
  const bool boxes_only = std::all_of(outlines.begin(), outlines.end(), is_box);
  if (!boxes_only) seen.mask = empty_mask(crop);
  for (const Outline& outline : outlines) {
    std::optional<GridBox> box;
    if (is_box(outline)) {
      box = in_crop(outline.box, crop);
      if (!boxes_only) paint(outline, size, crop, seen.mask);
    } else {
      Image alone = empty_mask(crop);
      paint(outline, size, crop, alone);
      box = box_around(alone);
      std::transform(alone.pixels.begin(), alone.pixels.end(), seen.mask.pixels.begin(),
                     seen.mask.pixels.begin(), std::bit_or<std::uint8_t>());
    }
    if (box) seen.boxes.push_back(*box);
  }
  return seen;
}

std::optional<GridBox> box_around(const Image& mask) {
  int left = mask.width, top = mask.height, right = -1, bottom = -1;
  const std::uint8_t* pixel = mask.pixels.data();
  for (int y = 0; y < mask.height; ++y)
    for (int x = 0; x < mask.width; ++x)
      if (*pixel++) {
        left = std::min(left, x);
        right = std::max(right, x);
        top = std::min(top, y);
        bottom = std::max(bottom, y);
      }
  if (right < 0) return {};
  const double width = mask.width, height = mask.height;
  return GridBox{left / width, top / height, (right + 1) / width, (bottom + 1) / height};
}

}  // namespace sgmae
