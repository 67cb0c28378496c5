#include "sgmae/eval/token_features.h"

#include "sgmae/base/error.h"

namespace sgmae {

const Options::Names<TokenFeatures>& token_features() {
  static const Options::Names<TokenFeatures> all{{"mean", TokenFeatures::mean},
                                                 {"cls", TokenFeatures::cls},
                                                 {"patches", TokenFeatures::patches}};
  return all;
}

const char* name_of(TokenFeatures features) {
  switch (features) {
    case TokenFeatures::mean:
      return "mean";
    case TokenFeatures::cls:
      return "cls";
    case TokenFeatures::patches:
      break;
  }
  return "patches";
}

at::Tensor features_of(const OpenedModel& model, const at::Tensor& tokens, TokenFeatures features) {
  const VitConfig& config = model.encoder().config();
  const at::Tensor patches = tokens.narrow(1, config.class_tokens(), config.n_patches());
  switch (features) {
    case TokenFeatures::cls:
      check(config.class_token, ExitCode::usage,
            "this model has no class token; choose --features mean or patches");
      return tokens.select(1, 0).contiguous();
    case TokenFeatures::patches:
      return patches.contiguous();
    case TokenFeatures::mean:
      break;
  }
  // A classifier with global pooling has its norm behind the mean.
  const bool fc_norm = config.pooling == Pooling::mean;
  return fc_norm ? model.vit()->pooled(tokens) : patches.mean({1});
}

}  // namespace sgmae
