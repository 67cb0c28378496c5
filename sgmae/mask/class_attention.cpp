#include "sgmae/mask/class_attention.h"

#include "sgmae/base/error.h"

namespace sgmae {

std::string class_attention_tap(const MaeConfig& config) {
  return str("encoder.", config.encoder.depth - 1, ".attention");
}

at::Tensor class_attention_of_heads(const Mae& model, const at::Tensor& pixels) {
  const std::string tap = class_attention_tap(model.config());
  Taps taps({tap}, model.encoder().device());
  model.encode(pixels, &taps, /*taps_only=*/true);
  return taps[tap].select(2, 0).narrow(2, 1, model.config().n_patches()).to(at::kFloat);
}

// Of the last block its queries, keys and values and the products of the first two.
double class_attention_share(const MaeConfig& config) {
  const double dim = static_cast<double>(config.encoder.dim);
  const double hidden = static_cast<double>(config.encoder_mlp());
  const double tokens = static_cast<double>(config.n_patches() + 1);
  const double depth = static_cast<double>(config.encoder.depth);
  const double of_last = (3 * dim + tokens) / (4 * dim + 2 * hidden + 2 * tokens);
  return (depth - 1 + of_last) / depth;
}

}  // namespace sgmae
