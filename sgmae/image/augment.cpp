#include "sgmae/image/augment.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "sgmae/image/label_map.h"

namespace sgmae {

namespace {

// A box of this size anywhere in the image.
CropBox place(Rng& rng, ImageSize size, double width, double height) {
  CropBox box{0, 0, static_cast<int>(width), static_cast<int>(height)};
  box.y = static_cast<int>(rng.below(size.height - box.height + 1));
  box.x = static_cast<int>(rng.below(size.width - box.width + 1));
  return box;
}

// The columns and rows of labels that the pixels of a resized image take.
struct Sampled {
  std::vector<int> columns, rows;
};

// Whether one class has `max_class_share` of the labelled pixels of a window or more.
bool one_class_fills(const LabelMap& labels, const Sampled& sampled, const Placement& placed,
                     double max_class_share) {
  // Neighbours, most often of one class, are counted apart: one counter would wait for itself.
  constexpr std::size_t apart = 4;
  std::array<std::array<std::int64_t, 256>, apart> counts{};
  const int* const columns = sampled.columns.data() + placed.x;
  for (int y = 0; y < placed.content.height; ++y) {
    const std::uint8_t* row =
        labels.labels.data() +
        static_cast<std::ptrdiff_t>(sampled.rows[static_cast<std::size_t>(placed.y + y)]) *
            labels.size.width;
    const auto width = static_cast<std::size_t>(placed.content.width);
    std::size_t x = 0;
    for (; x + apart <= width; x += apart)
      for (std::size_t k = 0; k < apart; ++k) ++counts[k][row[columns[x + k]]];
    for (; x < width; ++x) ++counts[0][row[columns[x]]];
  }
  std::int64_t most = 0, all = 0;
  for (std::size_t label = 0; label < unlabelled_pixel; ++label) {
    std::int64_t count = 0;
    for (const auto& part : counts) count += part[label];
    most = std::max(most, count);
    all += count;
  }
  return static_cast<double>(most) >= max_class_share * static_cast<double>(all);
}

}  // namespace

CropBox random_resized_crop(Rng& rng, ImageSize size, const AugmentOptions& options) {
  constexpr int tries = 10;
  const double area = static_cast<double>(size.width) * size.height;
  for (int i = 0; i < tries; ++i) {
    const double share = rng.uniform(options.min_scale, options.max_scale);
    const double ratio =
        std::exp(rng.uniform(std::log(options.min_ratio), std::log(options.max_ratio)));
    // nearbyint rounds halves to even, as Python's round() does.
    const double width = std::nearbyint(std::sqrt(area * share * ratio));
    const double height = std::nearbyint(std::sqrt(area * share / ratio));
    if (options.single_draw)
      return place(rng, size, std::clamp<double>(width, 1, size.width),
                   std::clamp<double>(height, 1, size.height));
    if (width < 1 || height < 1 || width > size.width || height > size.height) continue;
    return place(rng, size, width, height);
  }
  CropBox box = whole(size);
  const double ratio = static_cast<double>(size.width) / size.height;
  if (ratio < options.min_ratio)
    box.height = static_cast<int>(std::nearbyint(size.width / options.min_ratio));
  else if (ratio > options.max_ratio)
    box.width = static_cast<int>(std::nearbyint(size.height * options.max_ratio));
  box.x = (size.width - box.width) / 2;
  box.y = (size.height - box.height) / 2;
  return box;
}

ImageSize fitted(ImageSize size, ImageSize canvas, double scale) {
  const double factor = scale * std::min(static_cast<double>(canvas.width) / size.width,
                                         static_cast<double>(canvas.height) / size.height);
  const auto side = [&](int length) {
    return std::max(1, static_cast<int>(std::lround(length * factor)));
  };
  return {side(size.width), side(size.height)};
}

Placement large_scale_jitter(Rng& rng, ImageSize size, ImageSize canvas, double min_scale,
                             double max_scale) {
  Placement placed;
  placed.scaled = fitted(size, canvas, rng.uniform(min_scale, max_scale));
  placed.content = {std::min(placed.scaled.width, canvas.width),
                    std::min(placed.scaled.height, canvas.height)};
  placed.x = static_cast<int>(rng.below(placed.scaled.width - placed.content.width + 1));
  placed.y = static_cast<int>(rng.below(placed.scaled.height - placed.content.height + 1));
  return placed;
}

ImageSize scaled_to_sides(ImageSize size, int shorter, int longer) {
  const double factor = std::min(static_cast<double>(shorter) / std::min(size.width, size.height),
                                 static_cast<double>(longer) / std::max(size.width, size.height));
  const auto side = [&](int length) {
    return std::max(1, static_cast<int>(length * factor + 0.5));
  };
  return {side(size.width), side(size.height)};
}

ImageSize random_scale(Rng& rng, ImageSize size, ImageSize canvas, double min_scale,
                       double max_scale) {
  constexpr double longest = 4;
  const double shorter = std::min(canvas.width, canvas.height) * rng.uniform(min_scale, max_scale);
  return scaled_to_sides(size, std::max(1, static_cast<int>(shorter)),
                         std::max(1, static_cast<int>(longest * shorter)));
}

Placement random_crop(Rng& rng, ImageSize scaled, ImageSize canvas, const LabelMap* labels,
                      double max_class_share) {
  constexpr int places = 10;
  Placement placed;
  placed.scaled = scaled;
  placed.content = {std::min(scaled.width, canvas.width), std::min(scaled.height, canvas.height)};
  const bool asked = labels != nullptr && max_class_share < 1;
  Sampled sampled;
  if (asked)
    sampled = {nearest_inputs(labels->size.width, scaled.width, 0, scaled.width),
               nearest_inputs(labels->size.height, scaled.height, 0, scaled.height)};
  for (int i = 0; i < places; ++i) {
    placed.y = static_cast<int>(rng.below(scaled.height - placed.content.height + 1));
    placed.x = static_cast<int>(rng.below(scaled.width - placed.content.width + 1));
    const bool fixed = placed.content == scaled;  // there is no other place
    if (!asked || fixed || !one_class_fills(*labels, sampled, placed, max_class_share)) break;
  }
  return placed;
}

bool random_flip(Rng& rng, const AugmentOptions& options) {
  return rng.uniform() < options.flip;
}

}  // namespace sgmae
