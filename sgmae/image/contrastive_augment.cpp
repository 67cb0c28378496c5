#include "sgmae/image/contrastive_augment.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/image/colour.h"

namespace sgmae {
namespace {

// Of -reach … reach; their sum is 1.
std::vector<float> gaussian(double sigma, int reach) {
  std::vector<double> weights;
  double sum = 0;
  for (int i = -reach; i <= reach; ++i) {
    weights.push_back(std::exp(-i * i / (2 * sigma * sigma)));
    sum += weights.back();
  }
  std::vector<float> result;
  for (const double weight : weights) result.push_back(static_cast<float>(weight / sum));
  return result;
}

// out[i] = the sum over k of weights[k] * rows[k][i], i < n.
void weighted_sum(const std::vector<float>& weights, const std::vector<const float*>& rows,
                  std::size_t n, float* out) {
  constexpr std::size_t lanes = 16;  // a count that the compiler knows fills vector registers
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    std::array<float, lanes> sum{};
    for (std::size_t k = 0; k < weights.size(); ++k)
      for (std::size_t lane = 0; lane < lanes; ++lane) sum[lane] += weights[k] * rows[k][i + lane];
    std::copy(sum.begin(), sum.end(), out + i);
  }
  for (; i < n; ++i) {
    out[i] = 0;
    for (std::size_t k = 0; k < weights.size(); ++k) out[i] += weights[k] * rows[k][i];
  }
}

void jitter(const ColourJitter& by, Image& image) {
  for (const int what : by.order) {
    if (what == 0) adjust_brightness(image, by.brightness);
    if (what == 1) adjust_contrast(image, by.contrast);
    if (what == 2) adjust_colour(image, by.saturation);
    if (what == 3) turn_hue(image, by.hue);
  }
}

}  // namespace

ViewChanges draw_view(Rng& rng, const ViewOptions& options) {
  const auto happens = [&](double probability) { return rng.uniform() < probability; };
  const auto factor = [&](double most) { return rng.uniform(1 - most, 1 + most); };
  ViewChanges drawn;
  if (happens(options.jitter)) {
    ColourJitter& by = drawn.jitter.emplace();
    const std::vector<std::int64_t> order = rng.permutation(4);
    std::copy(order.begin(), order.end(), by.order.begin());
    by.brightness = factor(options.brightness);
    by.contrast = factor(options.contrast);
    by.saturation = factor(options.saturation);
    by.hue = rng.uniform(-options.hue, options.hue);
  }
  drawn.grey = happens(options.grey);
  if (happens(options.blur)) drawn.blur = rng.uniform(options.blur_min, options.blur_max);
  drawn.solarise = happens(options.solarise);
  return drawn;
}

void apply(const ViewChanges& changes, Image& image) {
  if (changes.jitter) jitter(*changes.jitter, image);
  if (changes.grey) adjust_colour(image, 0);
  if (changes.blur) gaussian_blur(image, *changes.blur);
  if (changes.solarise) solarize(image, 128);
}

void gaussian_blur(Image& image, double sigma) {
  SGMAE_ASSERT(sigma > 0);
  const int reach = static_cast<int>(std::ceil(4 * sigma));
  const std::vector<float> weights = gaussian(sigma, reach);
  const auto channels = static_cast<std::size_t>(image.channels);
  const std::size_t width = static_cast<std::size_t>(image.width) * channels;
  const auto inside = [](int place, int count) {
    return static_cast<std::size_t>(std::clamp(place, 0, count - 1));
  };
  std::vector<float> across(width * static_cast<std::size_t>(image.height));
  std::vector<float> row(width + 2 * static_cast<std::size_t>(reach) * channels);
  std::vector<const float*> rows(weights.size());
  for (std::size_t k = 0; k < rows.size(); ++k) rows[k] = row.data() + k * channels;
  for (std::size_t y = 0; y < static_cast<std::size_t>(image.height); ++y) {
    const std::uint8_t* const pixels = image.pixels.data() + y * width;
    float* to = row.data();
    for (int x = -reach; x < image.width + reach; ++x)
      for (std::size_t c = 0; c < channels; ++c)
        *to++ = static_cast<float>(pixels[inside(x, image.width) * channels + c]);
    weighted_sum(weights, rows, width, across.data() + y * width);
  }
  for (int y = 0; y < image.height; ++y) {
    for (std::size_t k = 0; k < rows.size(); ++k)
      rows[k] = across.data() + inside(y - reach + static_cast<int>(k), image.height) * width;
    weighted_sum(weights, rows, width, row.data());
    std::uint8_t* const pixels = image.pixels.data() + static_cast<std::size_t>(y) * width;
    for (std::size_t i = 0; i < width; ++i)
      pixels[i] = static_cast<std::uint8_t>(std::min(row[i] + 0.5f, 255.0f));
  }
}

}  // namespace sgmae
