#include "sgmae/detect/pyramid.h"

#include <ATen/ops/gelu.h>
#include <ATen/ops/max_pool2d.h>

#include <algorithm>

#include "sgmae/base/error.h"

namespace sgmae {

FeaturePyramid::FeaturePyramid(std::int64_t dim, std::int64_t channels, LayerMaker make) {
  const auto output = [&](const std::string& name, int first, std::int64_t in) {
    outputs_.push_back(
        {make.convolution(str(name, first), in, channels, 1, true, Fill::plain),
         make.convolution(str(name, first + 1), channels, channels, 3, true, Fill::plain)});
  };
  quadruple_first_ = make.doubling("backbone.simfp_2.0", dim, dim / 2, Fill::plain);
  const LayerNorm between = make.norm("backbone.simfp_2.1", dim / 2);
  norm_weight_ = between.weight, norm_bias_ = between.bias;
  quadruple_second_ = make.doubling("backbone.simfp_2.3", dim / 2, dim / 4, Fill::plain);
  output("backbone.simfp_2.", 4, dim / 4);
  double_ = make.doubling("backbone.simfp_3.0", dim, dim / 2, Fill::plain);
  output("backbone.simfp_3.", 1, dim / 2);
  output("backbone.simfp_4.", 0, dim);
  output("backbone.simfp_5.", 1, dim);
}

std::vector<at::Tensor> FeaturePyramid::forward(const at::Tensor& map, at::ScalarType type) const {
  // A single row or column cannot be halved.
  const auto halved = [](const at::Tensor& x) {
    const std::int64_t down = std::min<std::int64_t>(2, x.size(2));
    const std::int64_t across = std::min<std::int64_t>(2, x.size(3));
    return at::max_pool2d(x, {down, across}, {down, across});
  };
  const at::Tensor twice =
      channel_norm(quadruple_first_.forward(map, type), *norm_weight_, *norm_bias_);
  const std::vector<at::Tensor> scaled{quadruple_second_.forward(at::gelu(twice), type),
                                       double_.forward(map, type), map, halved(map)};
  std::vector<at::Tensor> levels;
  for (std::size_t i = 0; i < scaled.size(); ++i)
    levels.push_back(
        outputs_[i].smooth.forward(outputs_[i].lateral.forward(scaled[i], type), type));
  levels.push_back(levels.back().slice(2, 0, {}, 2).slice(3, 0, {}, 2));
  return levels;
}

}  // namespace sgmae
