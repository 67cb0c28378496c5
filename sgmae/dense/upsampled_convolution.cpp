#include "sgmae/dense/upsampled_convolution.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <array>

#include "sgmae/base/error.h"
#include "sgmae/dense/convolution.h"
#include "sgmae/dense/enlarged_taps.h"
#include "sgmae/nn/products.h"

namespace sgmae {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr std::size_t most_levels = 4;

at::Tensor cells_of(const at::Tensor& map) {
  return map.permute({0, 2, 3, 1});
}

// A level's part of the weight as the products want it: [9 O, C], by tap.
at::Tensor by_tap(const at::Tensor& weight, std::int64_t first, std::int64_t channels,
                  at::ScalarType type) {
  return weight.narrow(1, first, channels)
      .permute({2, 3, 0, 1})
      .to(type, /*non_blocking=*/false, /*copy=*/false, at::MemoryFormat::Contiguous)
      .contiguous()
      .view({9 * weight.size(0), channels});
}

// Levels that there are not are empty.
struct Upsampled : torch::autograd::Function<Upsampled> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& first,
                            const at::Tensor& second, const at::Tensor& third,
                            const at::Tensor& fourth, const at::Tensor& weight) {
    const at::ScalarType type = first.scalar_type();
    const std::int64_t out = weight.size(0);
    variable_list saved{
        first,
        weight.narrow(1, 0, first.size(1)).to(type).contiguous(at::MemoryFormat::ChannelsLast)};
    at::Tensor sum = cells_of(convolve(first, saved[1], {})).to(at::kFloat).contiguous();
    std::int64_t channels = first.size(1);
    for (const at::Tensor* level : {&second, &third, &fourth}) {
      if (level->numel() == 0) break;
      const at::Tensor cells = cells_of(*level);
      const at::Tensor w = by_tap(weight, channels, level->size(1), type);
      const at::Tensor taps =
          linear(cells.reshape({-1, level->size(1)}), w, at::zeros({9 * out}, w.options()))
              .view({cells.size(0), cells.size(1), cells.size(2), 9, out});
      add_enlarged_taps(taps, sum);
      saved.push_back(*level);
      saved.push_back(w);
      channels += level->size(1);
    }
    context->save_for_backward(saved);
    return sum.permute({0, 3, 1, 2});
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &first = saved[0], &first_weight = saved[1];
    const at::Tensor cells = cells_of(gradients[0]).to(first.scalar_type()).contiguous();
    const at::Tensor dy = cells.permute({0, 3, 1, 2});
    const std::int64_t out = dy.size(1);
    variable_list result(most_levels + 1);
    result[0] = convolve_input_gradient(dy, first, first_weight);
    std::int64_t channels = first.size(1);
    for (std::size_t i = 2; i < saved.size(); i += 2) channels += saved[i].size(1);
    at::Tensor dw = at::empty({out, channels, 3, 3}, at::kFloat);
    const auto put = [&](std::int64_t from, const at::Tensor& part) {
      dw.narrow(1, from, part.size(1)).copy_(part);
    };
    put(0, convolve_weight_gradient(dy, first).permute({0, 3, 1, 2}));
    channels = first.size(1);
    for (std::size_t i = 2; i < saved.size(); i += 2) {
      const at::Tensor &level = saved[i], &w = saved[i + 1];
      const std::int64_t own = level.size(1);
      const at::Tensor dtaps =
          enlarged_taps_gradient(cells, level.size(2), level.size(3)).view({-1, 9 * out});
      result[i / 2] = linear_input_grad(dtaps, w)
                          .view({level.size(0), level.size(2), level.size(3), own})
                          .permute({0, 3, 1, 2});
      at::Tensor dlevel = at::zeros({9 * out, own}, at::kFloat);
      linear_weight_grad(dtaps, cells_of(level).reshape({-1, own}), dlevel, /*zeros=*/true);
      put(channels, dlevel.view({3, 3, out, own}).permute({2, 3, 0, 1}));
      channels += own;
    }
    result[most_levels] = dw;
    return result;
  }
};

at::Tensor in_channels_last(const at::Tensor& map, at::ScalarType type) {
  return map.to(type).contiguous(at::MemoryFormat::ChannelsLast);
}

}  // namespace

at::Tensor convolve_upsampled(const std::vector<at::Tensor>& levels, const at::Tensor& weight,
                              at::ScalarType type) {
  SGMAE_ASSERT(!levels.empty() && levels.size() <= most_levels);
  std::array<at::Tensor, most_levels> maps;
  maps.fill(at::empty({0}, weight.options()));
  for (std::size_t i = 0; i < levels.size(); ++i) maps[i] = in_channels_last(levels[i], type);
  if (has_products(weight.device()))
    return Upsampled::apply(maps[0], maps[1], maps[2], maps[3], weight);
  std::vector<at::Tensor> enlarged{maps[0]};
  for (std::size_t i = 1; i < levels.size(); ++i)
    enlarged.push_back(at::upsample_bilinear2d(maps[i], {maps[0].size(2), maps[0].size(3)}, false));
  return at::conv2d(at::cat(enlarged, 1), in_channels_last(weight, type), {}, 1, 1).to(at::kFloat);
}

}  // namespace sgmae
