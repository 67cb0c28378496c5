#include "sgmae/eval/features.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/isfinite.h>

#include "sgmae/base/error.h"

namespace sgmae {

const at::Tensor& features_of(const Features& features, FeatureKind kind) {
  return kind == FeatureKind::cls ? features.cls : features.mean;
}

Features extract_features(const Mae& model, const std::function<bool(Batch&)>& next) {
  std::vector<at::Tensor> cls, mean;
  Features features;
  Batch batch;
  while (next(batch)) {
    const at::Tensor tokens = model.encode(batch.pixels);  // [B, 1+N, D]
    check(at::isfinite(tokens).all().item<bool>(), ExitCode::checkpoint,
          "the encoder's features are not all finite numbers; use an earlier checkpoint, or "
          "--precision fp32");
    cls.push_back(tokens.select(1, 0).contiguous());
    mean.push_back(tokens.narrow(1, 1, tokens.size(1) - 1).mean({1}));
    features.label.insert(features.label.end(), batch.label.begin(), batch.label.end());
  }
  check(!cls.empty(), ExitCode::data, "no images to take features of");
  features.cls = at::cat(cls);
  features.mean = at::cat(mean);
  return features;
}

}  // namespace sgmae
