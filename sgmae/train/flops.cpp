#include "sgmae/train/flops.h"

#include "sgmae/nn/attention.h"

namespace sgmae {
namespace {

// Multiply-adds of a transformer on n tokens: qkv, proj and the two MLP layers, then QK^T and AV.
double transformer_macs(const VitSize& size, std::int64_t mlp_hidden, double n) {
  const double dim = static_cast<double>(size.dim), hidden = static_cast<double>(mlp_hidden);
  return static_cast<double>(size.depth) * n * dim * (4 * dim + 2 * hidden + 2 * n);
}

// Of the decoder for `seen` tokens of the encoder's and `decoded` of its own, from decoder_embed
// on.
double decoder_macs(const MaeConfig& c, double seen, double decoded) {
  const double dim = static_cast<double>(c.encoder.dim);
  const double decoder_dim = static_cast<double>(c.decoder.dim);
  const double values = static_cast<double>(c.patch_values());
  return seen * dim * decoder_dim + transformer_macs(c.decoder, c.decoder_mlp(), decoded) +
         decoded * decoder_dim * values;
}

}  // namespace

double training_flop_per_image(const MaeConfig& c, std::int64_t n_visible, std::int64_t n_thrown) {
  const double patches = static_cast<double>(c.n_patches());
  const double seen = static_cast<double>(n_visible) + 1;  // with CLS, as here
  const double decoded = patches + 1 - static_cast<double>(n_thrown);
  const double macs =
      patches * static_cast<double>(c.patch_values()) * static_cast<double>(c.encoder.dim) +
      transformer_macs(c.encoder, c.encoder_mlp(), seen) + decoder_macs(c, seen, decoded);
  return 3 * 2 * macs;
}

double decoder_flop_per_image(const MaeConfig& c) {
  const double tokens = static_cast<double>(c.n_patches()) + 1;
  return 2 * decoder_macs(c, tokens, tokens);
}

double training_flop_per_image(const VitConfig& c) {
  const double patches = static_cast<double>(c.n_patches());
  const double tokens = patches + static_cast<double>(c.prefix_tokens());
  const double dim = static_cast<double>(c.size.dim);
  double macs = patches * static_cast<double>(c.patch_values()) * dim +
                transformer_macs(c.size, c.mlp_hidden, tokens) +
                dim * static_cast<double>(c.classes);
  for (const auto& [window, unused] : c.attention) {
    if (window == 0) continue;
    // QK^T and AV within windows only, there also of what fills windows up.
    AttentionShape shape;
    shape.rows = c.grid_height(), shape.columns = c.grid_width(), shape.window = window;
    const double in_window = static_cast<double>(window * window);
    const double windows = static_cast<double>(shape.windows());
    macs += 2 * dim * (windows * in_window * in_window - tokens * tokens);
  }
  return 3 * 2 * macs;
}

}  // namespace sgmae
