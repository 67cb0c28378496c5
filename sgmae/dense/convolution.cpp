#include "sgmae/dense/convolution.h"

#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "sgmae/base/instruction_set.h"
#include "sgmae/dense/winograd.h"
#include "sgmae/nn/products.h"

namespace sgmae {
namespace {

// Some cells at a time, whatever the size of the maps: calls use(part), where part(all) are those
// of a tensor [B, H, ...].
template <class Use>
void for_cells(const at::Tensor& map, const Use& use) {
  constexpr std::int64_t at_once = 2048;
  const std::int64_t batch = map.size(0), height = map.size(2), width = map.size(3);
  const std::int64_t images = std::max<std::int64_t>(1, at_once / (height * width));
  const std::int64_t rows = std::max<std::int64_t>(1, std::min(height, at_once / width));
  for (std::int64_t b = 0; b < batch; b += images)
    for (std::int64_t y = 0; y < height; y += rows)
      use([&](const at::Tensor& all) {
        return all.narrow(0, b, std::min(images, batch - b))
            .narrow(1, y, std::min(rows, height - y));
      });
}

// What each cell sees of x [B, C, H, W]: [B, H, W, 3, 3, C], in the memory of a padded copy.
at::Tensor seen_by_cells(const at::Tensor& x) {
  const std::int64_t batch = x.size(0), channels = x.size(1), height = x.size(2), width = x.size(3);
  const at::Tensor padded = at::constant_pad_nd(x.permute({0, 2, 3, 1}), {0, 0, 1, 1, 1, 1});
  const std::int64_t line = (width + 2) * channels;
  return padded.as_strided({batch, height, width, 3, 3, channels},
                           {(height + 2) * line, line, channels, line, channels, 1});
}

// Below these the transforms cost more than they save (measured).
constexpr std::int64_t enough_tiles = 64, enough_channels = 128;

// For maps x and results of `out` channels. Not where LibTorch has quick instructions for bf16
// (quickest_instruction_set).
bool by_winograd(const at::Tensor& x, std::int64_t out) {
  return has_products(x.device()) && std::min(x.size(1), out) >= enough_channels &&
         winograd_tiles(x) >= enough_tiles &&
         (x.scalar_type() == at::kFloat || instruction_set() < InstructionSet::avx512_bf16);
}

}  // namespace

at::Tensor convolve(const at::Tensor& x, const at::Tensor& w, const at::Tensor& b) {
  if (by_winograd(x, w.size(0))) return winograd_convolve(x, w, b);
  return at::conv2d(x, w, b, /*stride=*/1, /*padding=*/1);
}

at::Tensor convolve_input_gradient(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& w) {
  if (by_winograd(x, w.size(0))) return winograd_input_gradient(dy, w);
  return std::get<0>(at::convolution_backward(dy, x, w, std::nullopt, {1, 1}, {1, 1}, {1, 1}, false,
                                              {0, 0}, 1, {true, false, false}));
}

at::Tensor convolve_weight_gradient(const at::Tensor& dy, const at::Tensor& x) {
  if (by_winograd(x, dy.size(1))) return winograd_weight_gradient(dy, x);
  const std::int64_t out = dy.size(1), values = 9 * x.size(1);
  const at::Tensor cells = dy.permute({0, 2, 3, 1}), seen = seen_by_cells(x);
  at::Tensor dw = at::zeros({out, values}, x.options().dtype(at::kFloat));
  bool first = true;
  for_cells(x, [&](const auto& part) {
    linear_weight_grad(part(cells).reshape({-1, out}), part(seen).reshape({-1, values}), dw,
                       /*zeros=*/first);
    first = false;
  });
  return dw.view({out, 3, 3, x.size(1)});
}

}  // namespace sgmae
