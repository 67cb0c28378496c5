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

}  // namespace sgmae
