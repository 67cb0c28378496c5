#include "sgmae/eval/features.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/stack.h>

#include "sgmae/base/error.h"
#include "sgmae/train/signals.h"

namespace sgmae {

const at::Tensor& features_of(const Features& features, FeatureKind kind) {
  return kind == FeatureKind::cls ? features.cls : features.mean;
}

Features encode_batch(const Encoder& encoder, const Batch& batch) {
  check(
      encoder.config().class_token, ExitCode::usage,
      "this model has no class token, and the test needs it beside the mean of the patches; use a "
      "model that has one, or sgmae extract");
  // Reduced where the encoder computes, since [B, 1+N, D] would be much to bring back, and brought
  // back together, since the host waits each time.
  const at::Tensor tokens =
      encoder.encode(batch.pixels.to(encoder.device(), /*non_blocking=*/true));
  const at::Tensor patches = tokens.narrow(1, 1, tokens.size(1) - 1);
  const at::Tensor features = at::stack({tokens.select(1, 0), patches.mean({1})}).cpu();
  check(at::isfinite(features).all().item<bool>(), ExitCode::checkpoint,
        "the encoder's features are not all finite numbers; use an earlier checkpoint, or "
        "--precision fp32");
  return {.cls = features[0], .mean = features[1], .label = batch.label, .unreadable = 0};
}

Features extract_features(const Encoder& encoder, const std::function<bool(Batch&)>& next) {
  std::vector<at::Tensor> cls, mean;
  Features features;
  for (Batch batch; next(batch);) {
    const Features part = encode_batch(encoder, batch);
    cls.push_back(part.cls);
    mean.push_back(part.mean);
    features.label.insert(features.label.end(), part.label.begin(), part.label.end());
  }
  check(!cls.empty(), ExitCode::data, "there are no images to extract features from");
  features.cls = at::cat(cls);
  features.mean = at::cat(mean);
  return features;
}

Features extract_features(const Encoder& encoder, const Source& source,
                          const LoaderOptions& options) {
  Loader loader(source, options);
  loader.start_epoch(0);
  Features features = extract_features(encoder, [&](Batch& batch) {
    if (stop_requested()) throw StopRequested();
    return loader.next(batch);
  });
  features.unreadable = loader.stats().unreadable;
  return features;
}

}  // namespace sgmae
