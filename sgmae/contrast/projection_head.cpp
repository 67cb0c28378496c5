#include "sgmae/contrast/projection_head.h"

#include "sgmae/base/error.h"

namespace sgmae {

ProjectionHead::ProjectionHead(const std::string& name, const std::vector<std::int64_t>& sizes,
                               LayerMaker make) {
  for (std::size_t i = 0; i + 1 < sizes.size(); ++i) {
    const bool last = i + 2 == sizes.size();
    layers_.push_back({make.dense(str(name, ".", 3 * i), sizes[i], sizes[i + 1], Fill::plain,
                                  /*bias=*/false),
                       make.batch_norm(str(name, ".", 3 * i + 1), sizes[i + 1], /*affine=*/!last)});
  }
}

at::Tensor ProjectionHead::forward(const at::Tensor& x, at::ScalarType type) const {
  at::Tensor y = x;
  for (const Layer& layer : layers_) {
    const at::Tensor map = layer.dense.forward(y, type).unsqueeze(2).unsqueeze(3);
    y = layer.norm.forward(map, /*relu=*/&layer != &layers_.back()).flatten(1);
  }
  return y;
}

}  // namespace sgmae
