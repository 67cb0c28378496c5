// What of an encoder's tokens stands for an image.
#pragma once

#include <ATen/core/Tensor.h>

#include "sgmae/base/options.h"
#include "sgmae/checkpoint/open_model.h"

namespace sgmae {

enum class TokenFeatures { mean, cls, patches };
const Options::Names<TokenFeatures>& token_features();  // all, by name
const char* name_of(TokenFeatures features);

// Features of tokens as an encoder's encode() gives them: [B, D], or [B, N, D] of patches. Throws
// Error(usage) for the class token of a model without one.
at::Tensor features_of(const OpenedModel& model, const at::Tensor& tokens, TokenFeatures features);

}  // namespace sgmae
