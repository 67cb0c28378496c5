#include "sgmae/data/mixup.h"

#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/scalar_tensor.h>

#include <algorithm>
#include <cmath>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

// Gamma(shape, 1) after Marsaglia & Tsang 2000.
double draw_gamma(Rng& rng, double shape) {
  if (shape < 1) {
    const double larger = draw_gamma(rng, shape + 1);
    return larger * std::pow(1.0 - rng.uniform(), 1.0 / shape);
  }
  const double d = shape - 1.0 / 3.0, c = 1.0 / std::sqrt(9.0 * d);
  for (;;) {
    const double x = rng.normal(), v = std::pow(1.0 + c * x, 3.0);
    if (v <= 0) continue;
    const double u = 1.0 - rng.uniform();
    if (std::log(u) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
  }
}

ImageSize size_of(const at::Tensor& pixels) {
  return {static_cast<int>(pixels.size(3)), static_cast<int>(pixels.size(2))};
}

// Exchanges the box of two planes.
void swap_box(float* one, float* other, ImageSize size, const CropBox& box) {
  for (int y = box.y; y < box.y + box.height; ++y) {
    const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(y) * size.width + box.x;
    std::swap_ranges(one + at, one + at + box.width, other + at);
  }
}

// one = lambda one + (1 - lambda) other, and the other way round.
void blend(float* one, float* other, std::int64_t values, float lambda) {
  const float rest = static_cast<float>(1.0 - static_cast<double>(lambda));
  for (std::int64_t i = 0; i < values; ++i) {
    const float a = one[i], b = other[i];
    one[i] = a * lambda + b * rest;
    other[i] = b * lambda + a * rest;
  }
}

// The same in LibTorch's operators.
at::Tensor soft_cross_entropy_on_device(const at::Tensor& logits, const at::Tensor& target,
                                        double loss_scale, at::Tensor* dlogits) {
  const at::Tensor t = target.to(at::kDouble);
  const at::Tensor log_share = at::log_softmax(logits.to(at::kDouble), 1);
  if (dlogits) {
    const at::Tensor mass = t.sum({1}, /*keepdim=*/true);
    *dlogits = log_share.exp()
                   .mul_(mass)
                   .sub_(t)
                   .mul_(loss_scale / static_cast<double>(logits.size(0)))
                   .to(at::kFloat);
  }
  return t.mul(log_share).sum({1}).mean().neg();
}

}  // namespace

double draw_beta(Rng& rng, double a, double b) {
  const double x = draw_gamma(rng, a), y = draw_gamma(rng, b);
  return x + y > 0 ? x / (x + y) : 0.5;
}

Mix draw_mix(Rng& rng, const MixOptions& options) {
  if (!options.mixes() || rng.uniform() >= options.probability) return {};
  Mix mix;
  const bool both = options.mixup > 0 && options.cutmix > 0;
  mix.cut = both ? rng.uniform() < options.switch_to_cutmix : options.cutmix > 0;
  const double alpha = mix.cut ? options.cutmix : options.mixup;
  mix.lambda = draw_beta(rng, alpha, alpha);
  mix.centre_y = rng.uniform();
  mix.centre_x = rng.uniform();
  return mix;
}

CropBox cutmix_box(ImageSize size, const Mix& mix) {
  const double ratio = std::sqrt(1.0 - mix.lambda);
  // From half a side before the centre to half a side behind it, cut off at 0 and `length`.
  const auto span = [&](int length, double centre_share) {
    const int side = static_cast<int>(length * ratio),
              centre = static_cast<int>(length * centre_share);
    const int begin = std::clamp(centre - side / 2, 0, length);
    return std::pair{begin, std::clamp(centre + (side + 1) / 2, 0, length) - begin};
  };
  const auto [x, width] = span(size.width, mix.centre_x);
  const auto [y, height] = span(size.height, mix.centre_y);
  return {x, y, width, height};
}

double apply_mix(const Mix& mix, at::Tensor& pixels) {
  if (mix.lambda == 1) return 1;
  SGMAE_ASSERT(pixels.is_contiguous());
  const std::int64_t batch = pixels.size(0), channels = pixels.size(1);
  const ImageSize size = size_of(pixels);
  const std::int64_t plane = static_cast<std::int64_t>(size.width) * size.height;
  const CropBox box = cutmix_box(size, mix);
  float* values = pixels.data_ptr<float>();
  for (std::int64_t b = 0; b < batch / 2; ++b) {
    float* one = values + b * channels * plane;
    float* other = values + (batch - 1 - b) * channels * plane;
    if (!mix.cut) {
      blend(one, other, channels * plane, static_cast<float>(mix.lambda));
      continue;
    }
    for (std::int64_t c = 0; c < channels; ++c)
      swap_box(one + c * plane, other + c * plane, size, box);
  }
  const double changed = static_cast<double>(box.width) * box.height;
  return mix.cut ? 1.0 - changed / static_cast<double>(plane) : mix.lambda;
}

at::Tensor soft_targets(const std::vector<std::int64_t>& label, std::int64_t classes, double lambda,
                        double smoothing) {
  const auto batch = static_cast<std::int64_t>(label.size());
  const double off = smoothing / static_cast<double>(classes);
  at::Tensor target = at::full({batch, classes}, off, at::kFloat);
  float* rows = target.data_ptr<float>();
  const float on = static_cast<float>(1.0 - smoothing);
  for (std::int64_t b = 0; b < batch; ++b) {
    const std::int64_t own = label[static_cast<std::size_t>(b)];
    const std::int64_t partner = label[static_cast<std::size_t>(batch - 1 - b)];
    SGMAE_ASSERT(own >= 0 && own < classes && partner >= 0 && partner < classes);
    rows[b * classes + own] += static_cast<float>(lambda) * on;
    rows[b * classes + partner] += static_cast<float>(1.0 - lambda) * on;
  }
  return target;
}

at::Tensor soft_cross_entropy(const at::Tensor& logits, const at::Tensor& target, double loss_scale,
                              at::Tensor* dlogits) {
  SGMAE_ASSERT(target.device() == logits.device());
  if (!logits.is_cpu()) return soft_cross_entropy_on_device(logits, target, loss_scale, dlogits);
  const std::int64_t batch = logits.size(0), classes = logits.size(1);
  const float* x = logits.const_data_ptr<float>();
  const float* t = target.const_data_ptr<float>();
  if (dlogits) *dlogits = at::empty_like(logits);
  float* d = dlogits ? dlogits->data_ptr<float>() : nullptr;
  double sum = 0;
  for (std::int64_t b = 0; b < batch; ++b, x += classes, t += classes) {
    const double largest = *std::max_element(x, x + classes);
    double normaliser = 0, mass = 0, expected = 0;
    for (std::int64_t k = 0; k < classes; ++k) {
      normaliser += std::exp(x[k] - largest);
      mass += t[k];
      expected += t[k] * (x[k] - largest);
    }
    sum += mass * std::log(normaliser) - expected;
    if (!d) continue;
    for (std::int64_t k = 0; k < classes; ++k)
      *d++ = static_cast<float>(loss_scale / static_cast<double>(batch) *
                                (mass * std::exp(x[k] - largest) / normaliser - t[k]));
  }
  return at::scalar_tensor(sum / static_cast<double>(batch), at::kDouble);
}

}  // namespace sgmae
