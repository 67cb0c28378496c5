#include "sgmae/train/flops.h"

namespace sgmae {
namespace {

// Multiply-adds of a transformer on n tokens: qkv, proj and the two MLP layers, then QK^T and AV.
double transformer_macs(const VitSize& size, double mlp_ratio, double n) {
  const double dim = static_cast<double>(size.dim);
  return static_cast<double>(size.depth) * (n * dim * dim * (4 + 2 * mlp_ratio) + 2 * n * n * dim);
}

}  // namespace

double training_flop_per_image(const MaeConfig& c, std::int64_t n_visible) {
  const double patches = static_cast<double>(c.n_patches());
  const double seen = static_cast<double>(n_visible) + 1;  // with CLS
  const double dim = static_cast<double>(c.encoder.dim);
  const double decoder_dim = static_cast<double>(c.decoder.dim);
  const double values = static_cast<double>(c.patch_values());
  const double mlp_ratio = static_cast<double>(c.mlp_ratio);
  const double macs = patches * values * dim + transformer_macs(c.encoder, mlp_ratio, seen) +
                      seen * dim * decoder_dim +
                      transformer_macs(c.decoder, mlp_ratio, patches + 1) +
                      (patches + 1) * decoder_dim * values;
  return 3 * 2 * macs;
}

double training_flop_per_image(const VitConfig& c) {
  const double patches = static_cast<double>(c.n_patches());
  const double tokens = patches + static_cast<double>(c.prefix_tokens());
  const double dim = static_cast<double>(c.size.dim);
  const double mlp_ratio = static_cast<double>(c.mlp_hidden) / dim;
  const double macs = patches * static_cast<double>(c.patch_values()) * dim +
                      transformer_macs(c.size, mlp_ratio, tokens) +
                      dim * static_cast<double>(c.classes);
  return 3 * 2 * macs;
}

}  // namespace sgmae
