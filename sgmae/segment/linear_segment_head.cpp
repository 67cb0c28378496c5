#include "sgmae/segment/linear_segment_head.h"

#include <ATen/ops/cat.h>

namespace sgmae {

LinearSegmentHead::LinearSegmentHead(const SegmenterConfig& c, LayerMaker make) {
  const std::int64_t dim = static_cast<std::int64_t>(c.taps.size()) * c.backbone.size.dim;
  norm_ = make.batch_norm("decode_head.bn", dim, /*affine=*/false);
  classifier_ =
      make.convolution("decode_head.classifier", dim, c.classes, 1, /*norm=*/false, Fill::small);
}

at::Tensor LinearSegmentHead::logits(const std::vector<at::Tensor>& maps,
                                     at::ScalarType type) const {
  return classifier_.forward(norm_.forward(at::cat(maps, 1), /*relu=*/false), type);
}

}  // namespace sgmae
