#include "sgmae/image/augment.h"

#include <algorithm>
#include <cmath>

namespace sgmae {

namespace {

// A box of this size anywhere in the image.
CropBox place(Rng& rng, ImageSize size, double width, double height) {
  CropBox box{0, 0, static_cast<int>(width), static_cast<int>(height)};
  box.y = static_cast<int>(rng.below(size.height - box.height + 1));
  box.x = static_cast<int>(rng.below(size.width - box.width + 1));
  return box;
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

bool random_flip(Rng& rng, const AugmentOptions& options) {
  return rng.uniform() < options.flip;
}

}  // namespace sgmae
