#include "sgmae/segment/uper_head.h"

#include <ATen/ops/adaptive_avg_pool2d.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/max_pool2d.h>

#include <algorithm>

#include "sgmae/base/error.h"
#include "sgmae/dense/upsampled_convolution.h"

namespace sgmae {

SegmentNeck::SegmentNeck(std::int64_t dim, LayerMaker make)
    : quadruple_first_(make.doubling("fpn1.0", dim, dim, Fill::plain)) {
  norm_ = make.batch_norm("fpn1.1", dim);
  quadruple_second_ = make.doubling("fpn1.3", dim, dim, Fill::plain);
  double_ = make.doubling("fpn2.0", dim, dim, Fill::plain);
}

std::vector<at::Tensor> SegmentNeck::forward(const std::vector<at::Tensor>& maps,
                                             at::ScalarType type) const {
  // A single row or column cannot be halved.
  const auto halved = [](const at::Tensor& x) {
    const std::int64_t down = std::min<std::int64_t>(2, x.size(2));
    const std::int64_t across = std::min<std::int64_t>(2, x.size(3));
    return at::max_pool2d(x, {down, across}, {down, across});
  };
  const at::Tensor twice = norm_.forward(quadruple_first_.forward(maps[0], type), /*relu=*/false);
  return {quadruple_second_.forward(at::gelu(twice), type), double_.forward(maps[1], type), maps[2],
          halved(maps[3])};
}

at::Tensor PooledPart::forward(const at::Tensor& x, at::ScalarType type) const {
  const at::Tensor means = at::adaptive_avg_pool2d(x.to(at::kFloat), {scale, scale});
  const at::Tensor pooled = convolution.forward(means, type);
  const bool larger = scale > x.size(2) || scale > x.size(3);
  return larger ? resized(pooled, x.size(2), x.size(3), type) : pooled;
}

UperHead::UperHead(const SegmenterConfig& c, LayerMaker make)
    : classifier_(make.convolution("decode_head.classifier", c.channels, c.classes, 1,
                                   /*norm=*/false, Fill::small)) {
  const std::int64_t dim = c.backbone.size.dim;
  const auto pools = static_cast<std::int64_t>(c.pool_scales.size());
  for (std::int64_t i = 0; i < pools; ++i)
    pools_.push_back(
        {c.pool_scales[static_cast<std::size_t>(i)],
         make.normed_convolution(str("decode_head.psp_modules.", i, ".1"), dim, c.channels, 1)});
  bottleneck_ =
      make.normed_convolution("decode_head.bottleneck", dim + pools * c.channels, c.channels, 3);
  for (int i = 0; i < 3; ++i)
    laterals_.push_back(
        make.normed_convolution(str("decode_head.lateral_convs.", i), dim, c.channels, 1));
  for (int i = 0; i < 3; ++i)
    smooth_.push_back(
        make.normed_convolution(str("decode_head.fpn_convs.", i), c.channels, c.channels, 3));
  last_ = make.normed_convolution("decode_head.fpn_bottleneck", 4 * c.channels, c.channels, 3);
}

at::Tensor UperHead::features(const std::vector<at::Tensor>& levels, at::ScalarType type) const {
  const auto together = [&](const std::vector<at::Tensor>& maps, const NormedConvolution& by) {
    return by.norm.forward(convolve_upsampled(maps, leaf(*by.convolution.weight), type),
                           /*relu=*/true);
  };
  std::vector<at::Tensor> pooled{levels[3]};
  for (const PooledPart& pool : pools_) pooled.push_back(pool.forward(levels[3], type));
  std::vector<at::Tensor> outs(4);
  at::Tensor above = outs[3] = together(pooled, bottleneck_);
  for (std::size_t i = 3; i-- > 0;) {
    const at::Tensor lateral = laterals_[i].forward(levels[i], type);
    above = lateral.add(resized(above, lateral.size(2), lateral.size(3), type));
    outs[i] = smooth_[i].forward(above, type);
  }
  return together(outs, last_);
}

at::Tensor UperHead::logits(const at::Tensor& features, at::ScalarType type) const {
  return classifier_.forward(features, type);
}

AuxiliaryHead::AuxiliaryHead(const SegmenterConfig& c, LayerMaker make)
    : classifier_(make.convolution("auxiliary_head.classifier", c.auxiliary_channels, c.classes, 1,
                                   /*norm=*/false, Fill::small)),
      convolution_(make.normed_convolution("auxiliary_head.convs.0", c.backbone.size.dim,
                                           c.auxiliary_channels, 3)) {}

at::Tensor AuxiliaryHead::logits(const at::Tensor& map, at::ScalarType type) const {
  return classifier_.forward(convolution_.forward(map, type), type);
}

}  // namespace sgmae
