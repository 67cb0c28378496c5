#include "sgmae/eval/features.h"

#include <ATen/ops/argsort.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/stack.h>

#include "sgmae/base/error.h"
#include "sgmae/parallel/process_group.h"
#include "sgmae/train/shared_pass.h"

namespace sgmae {

const at::Tensor& features_of(const Features& features, FeatureKind kind) {
  return kind == FeatureKind::cls ? features.cls : features.mean;
}

Features encode_batch(const Encoder& encoder, const Batch& batch) {
  check(
      encoder.config().class_token, ExitCode::usage,
      "this model has no class token, and the test needs it beside the mean of the patches; use a "
      "model that has one, or sgmae embed");
  // Reduced where the encoder computes, since [B, 1+N, D] would be much to bring back, and brought
  // back together, since the host waits each time.
  const at::Tensor tokens =
      encoder.encode(batch.pixels.to(encoder.device(), /*non_blocking=*/true));
  const at::Tensor patches = tokens.narrow(1, 1, tokens.size(1) - 1);
  const at::Tensor features = at::stack({tokens.select(1, 0), patches.mean({1})}).cpu();
  check(at::isfinite(features).all().item<bool>(), ExitCode::checkpoint,
        "the encoder's features are not all finite numbers; use an earlier checkpoint, or "
        "--precision fp32");
  return {.cls = features[0],
          .mean = features[1],
          .label = batch.label,
          .index = batch.index,
          .unreadable = 0};
}

Features extract_features(const Encoder& encoder, const std::function<bool(Batch&)>& next) {
  std::vector<at::Tensor> cls, mean;
  Features features;
  for (Batch batch; next(batch);) {
    const Features part = encode_batch(encoder, batch);
    cls.push_back(part.cls);
    mean.push_back(part.mean);
    features.label.insert(features.label.end(), part.label.begin(), part.label.end());
    features.index.insert(features.index.end(), part.index.begin(), part.index.end());
  }
  check(!cls.empty(), ExitCode::data, "there are no images to extract features from");
  features.cls = at::cat(cls);
  features.mean = at::cat(mean);
  return features;
}

Features extract_features(const Encoder& encoder, const Source& source,
                          const LoaderOptions& options) {
  std::vector<at::Tensor> cls, mean;
  std::vector<std::int64_t> label, place;
  const SharedPass pass = shared_pass("features", source, options, [&](const Batch& batch) {
    const Features part = encode_batch(encoder, batch);
    cls.push_back(part.cls);
    mean.push_back(part.mean);
    label.insert(label.end(), part.label.begin(), part.label.end());
    place.insert(place.end(), batch.index.begin(), batch.index.end());
  });
  const std::int64_t dim = encoder.config().size.dim;
  // Those of one process are not copied once more: they may be gigabytes.
  const auto everybodys = [](const at::Tensor& own) {
    const std::vector<at::Tensor> parts = processes().gather(own);
    return parts.size() == 1 ? parts.front() : at::cat(parts);
  };
  const auto rows = [&](const std::vector<at::Tensor>& own) {
    return everybodys(own.empty() ? at::empty({0, dim}) : at::cat(own));
  };
  const auto numbers = [&](std::vector<std::int64_t>& own) {
    return everybodys(
        at::from_blob(own.data(), {static_cast<std::int64_t>(own.size())}, at::kLong));
  };
  Features features{
      .cls = rows(cls), .mean = rows(mean), .label = {}, .index = {}, .unreadable = 0};
  at::Tensor labels = numbers(label), places = numbers(place);
  if (processes().size() > 1) {
    const at::Tensor order = places.argsort();
    features.cls = features.cls.index_select(0, order);
    features.mean = features.mean.index_select(0, order);
    labels = labels.index_select(0, order);
    places = places.index_select(0, order);
  }
  const auto list = [](const at::Tensor& values) {
    const auto* first = values.const_data_ptr<std::int64_t>();
    return std::vector<std::int64_t>(first, first + values.numel());
  };
  features.label = list(labels);
  features.index = list(places);
  features.unreadable = pass.unreadable;
  return features;
}

}  // namespace sgmae
