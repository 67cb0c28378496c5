// Features of whole images from a frozen encoder.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "sgmae/data/loader.h"
#include "sgmae/nn/encoder.h"

namespace sgmae {

struct Features {                   // fp32
  at::Tensor cls;                   // [M, D] class token after the final norm
  at::Tensor mean;                  // [M, D] mean of the patch tokens after the final norm
  std::vector<std::int64_t> label;  // [M] -1 where unlabelled
  std::vector<std::int64_t> index;  // [M] of the images in their source
  std::int64_t unreadable = 0;      // images that are missing here
};

enum class FeatureKind { cls, mean };
const at::Tensor& features_of(const Features& features, FeatureKind kind);

// Encodes one batch, nothing masked; the result lies on the CPU. Throws Error(checkpoint) when a
// feature is not finite.
Features encode_batch(const Encoder& encoder, const Batch& batch);

// Encodes every batch that `next` yields. Throws Error(data) when there is none.
Features extract_features(const Encoder& encoder, const std::function<bool(Batch&)>& next);

// Encodes the images of `source`, read as `options` say and in the source's order, which a subset
// follows. Processes share the work, and all have all features. Throws what shared_pass() throws.
Features extract_features(const Encoder& encoder, const Source& source,
                          const LoaderOptions& options);

}  // namespace sgmae
