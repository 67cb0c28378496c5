#include "sgmae/dense/upsampled_convolution.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include "sgmae/base/error.h"
#include "sgmae/dense/convolution.h"
#include "sgmae/dense/enlarged_taps.h"
#include "sgmae/nn/products.h"

namespace sgmae {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

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

struct Upsampled : torch::autograd::Function<Upsampled> {
  static at::Tensor forward(AutogradContext* context, at::TensorList levels,
                            const at::Tensor& weight) {
    const at::Tensor& first = levels[0];
    const at::ScalarType type = first.scalar_type();
    const std::int64_t out = weight.size(0);
    variable_list saved{
        first,
        weight.narrow(1, 0, first.size(1)).to(type).contiguous(at::MemoryFormat::ChannelsLast)};
    at::Tensor sum = cells_of(convolve(first, saved[1], {})).to(at::kFloat).contiguous();
    std::int64_t channels = first.size(1);
    for (const at::Tensor& level : levels.slice(1)) {
      const at::Tensor cells = cells_of(level);
      const at::Tensor w = by_tap(weight, channels, level.size(1), type);
      const at::Tensor taps =
          linear(cells.reshape({-1, level.size(1)}), w, at::zeros({9 * out}, w.options()))
              .view({cells.size(0), cells.size(1), cells.size(2), 9, out});
      add_enlarged_taps(taps, sum);
      saved.push_back(level);
      saved.push_back(w);
      channels += level.size(1);
    }
    context->save_for_backward(saved);
    return sum.permute({0, 3, 1, 2});
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();  // each level and its part of the weight
    const at::Tensor &first = saved[0], &first_weight = saved[1];
    const at::Tensor cells = cells_of(gradients[0]).to(first.scalar_type()).contiguous();
    const at::Tensor dy = cells.permute({0, 3, 1, 2});
    const std::int64_t out = dy.size(1);
    variable_list result{convolve_input_gradient(dy, first, first_weight)};
    std::vector<at::Tensor> dw{convolve_weight_gradient(dy, first).permute({0, 3, 1, 2})};
    for (std::size_t i = 2; i < saved.size(); i += 2) {
      const at::Tensor &level = saved[i], &w = saved[i + 1];
      const std::int64_t own = level.size(1);
      const at::Tensor dtaps =
          enlarged_taps_gradient(cells, level.size(2), level.size(3)).view({-1, 9 * out});
      result.push_back(linear_input_grad(dtaps, w)
                           .view({level.size(0), level.size(2), level.size(3), own})
                           .permute({0, 3, 1, 2}));
      at::Tensor dlevel = at::zeros({9 * out, own}, at::kFloat);
      linear_weight_grad(dtaps, cells_of(level).reshape({-1, own}), dlevel, /*zeros=*/true);
      dw.push_back(dlevel.view({3, 3, out, own}).permute({2, 3, 0, 1}));
    }
    result.push_back(at::cat(dw, 1));
    return result;
  }
};

at::Tensor in_channels_last(const at::Tensor& map, at::ScalarType type) {
  return map.to(type).contiguous(at::MemoryFormat::ChannelsLast);
}

}  // namespace

at::Tensor convolve_upsampled(const std::vector<at::Tensor>& levels, const at::Tensor& weight,
                              at::ScalarType type) {
  SGMAE_ASSERT(!levels.empty());
  std::vector<at::Tensor> maps;
  for (const at::Tensor& level : levels) maps.push_back(in_channels_last(level, type));
  if (has_products(weight.device())) return Upsampled::apply(at::TensorList(maps), weight);
  for (std::size_t i = 1; i < maps.size(); ++i)
    maps[i] = at::upsample_bilinear2d(maps[i], {maps[0].size(2), maps[0].size(3)}, false);
  return Upsampled::apply(at::TensorList(at::cat(maps, 1)), weight);
}

}  // namespace sgmae
