#include "sgmae/image/random_erase.h"

#include <cmath>

namespace sgmae {

std::optional<CropBox> erase_box(ImageSize size, const RandomEraseOptions& options,
                                 const std::function<double()>& uniform) {
  constexpr int tries = 10;
  const double log_aspect = std::log(options.min_aspect);
  for (int i = 0; i < tries; ++i) {
    const double share = options.min_area + (options.max_area - options.min_area) * uniform();
    const double area = share * size.width * size.height;
    const double aspect = std::exp(log_aspect - 2 * log_aspect * uniform());
    // nearbyint rounds halves to even, as Python's round() does.
    CropBox box;
    box.height = static_cast<int>(std::nearbyint(std::sqrt(area * aspect)));
    box.width = static_cast<int>(std::nearbyint(std::sqrt(area / aspect)));
    if (box.width >= size.width || box.height >= size.height) continue;
    box.y = static_cast<int>(uniform() * (size.height - box.height + 1));
    box.x = static_cast<int>(uniform() * (size.width - box.width + 1));
    return box;
  }
  return std::nullopt;
}

void random_erase(Rng& rng, const RandomEraseOptions& options, int channels, ImageSize size,
                  float* values) {
  if (rng.uniform() >= options.probability) return;
  const auto box = erase_box(size, options, [&] { return rng.uniform(); });
  if (!box) return;
  for (int c = 0; c < channels; ++c)
    for (int y = box->y; y < box->y + box->height; ++y) {
      float* row = values + (static_cast<std::ptrdiff_t>(c) * size.height + y) * size.width;
      for (int x = box->x; x < box->x + box->width; ++x) row[x] = static_cast<float>(rng.normal());
    }
}

}  // namespace sgmae
