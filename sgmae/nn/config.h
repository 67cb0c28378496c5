// Sizes of a vision transformer and of a masked autoencoder (MAE, He et al. 2022, section 3 and
// appendix A.1).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sgmae {

struct VitSize {
  std::int64_t dim = 768, depth = 12, heads = 12;
};

enum class Precision { fp32, bf16 };

inline const char* name_of(Precision precision) {
  return precision == Precision::bf16 ? "bf16" : "fp32";
}

// What a classifier looks at: the class token after the final norm; the mean of the patch tokens,
// followed by a norm of its own (`fc_norm`, there is then no final norm: MAE's global_pool); or the
// mean of the patch tokens after the final norm.
enum class Pooling { cls, mean, normed_mean };

// What attention adds to the logit of a query and a key for the offset between their patches.
enum class RelativePosition {
  none,
  decomposed,  // q . R_h[rows apart] + q . R_w[columns apart] (ViTDet; MViTv2, eq. 4)
  bias         // a learned number for each head and offset (BEiT)
};

struct BlockAttention {
  // Side, in patches, of the windows within which tokens attend to each other. Where the grid ends
  // in the middle of one, it is filled up with zeros after the norm, and these are attended to as
  // well (ViTDet). 0: every token attends to every other.
  std::int64_t window = 0;
  RelativePosition relative_position = RelativePosition::none;

  bool operator==(const BlockAttention&) const = default;
};

struct VitConfig {
  std::int64_t height = 224, width = 224, channels = 3;
  std::int64_t patch_size = 16;
  VitSize size;
  std::int64_t mlp_hidden = 4 * 768;
  double layer_norm_eps = 1e-6;
  bool layer_scale = false;    // DINOv2: each branch is multiplied by a learned vector
  std::int64_t registers = 0;  // DINOv2: tokens between CLS and patches without a position
  bool class_token = true;
  bool position_embedding = true;         // a learned or fixed vector for each place
  bool final_norm = true;                 // after the last block; with Pooling::mean there is none
  std::vector<BlockAttention> attention;  // one entry per block; empty: BlockAttention{} in all
  Pooling pooling = Pooling::cls;
  std::int64_t classes = 0;      // 0: no head
  bool batch_norm_head = false;  // MAE's linear probe: BatchNorm without affine before the head

  std::int64_t grid_height() const { return height / patch_size; }
  std::int64_t grid_width() const { return width / patch_size; }
  std::int64_t n_patches() const { return grid_height() * grid_width(); }
  std::int64_t patch_values() const { return patch_size * patch_size * channels; }
  std::int64_t class_tokens() const { return class_token ? 1 : 0; }
  std::int64_t prefix_tokens() const { return class_tokens() + registers; }
  bool has_final_norm() const { return final_norm && pooling != Pooling::mean; }
  BlockAttention attention_of(std::int64_t block) const {
    return attention.empty() ? BlockAttention{} : attention[static_cast<std::size_t>(block)];
  }
};

struct MaeConfig {
  std::int64_t height = 224, width = 224, channels = 3;
  std::int64_t patch_size = 16;
  VitSize encoder{768, 12, 12};
  VitSize decoder{512, 8, 16};
  std::int64_t mlp_ratio = 4;
  // Of models whose MLPs are not mlp_ratio times as wide as their blocks; 0: they are.
  std::int64_t encoder_mlp_hidden = 0, decoder_mlp_hidden = 0;
  double layer_norm_eps = 1e-6;
  bool norm_pix_loss = false;

  std::int64_t encoder_mlp() const {
    return encoder_mlp_hidden > 0 ? encoder_mlp_hidden : mlp_ratio * encoder.dim;
  }
  std::int64_t decoder_mlp() const {
    return decoder_mlp_hidden > 0 ? decoder_mlp_hidden : mlp_ratio * decoder.dim;
  }

  std::int64_t grid_height() const { return height / patch_size; }
  std::int64_t grid_width() const { return width / patch_size; }
  std::int64_t n_patches() const { return grid_height() * grid_width(); }
  std::int64_t patch_values() const { return patch_size * patch_size * channels; }
};

// The configuration of a published size by any of its names: mae_vit_base_patch16,
// vit_base_patch16, vit_base_patch16_224.mae; base, large, huge, and small and tiny beside them.
// `patchN` may be any size. Throws Error(usage) for other names.
MaeConfig named_config(const std::string& name);

// A decoder in proportion to the encoder, as MAE's is to ViT-B: two thirds as wide, 8 blocks, heads
// of 32; never wider than MAE's 512.
VitSize decoder_for(const VitSize& encoder);

// The encoder of an autoencoder, as a ViT without head.
VitConfig encoder_config(const MaeConfig& config);

// Throws Error(usage) unless the sizes fit together (patch divides the image, heads divide dims …).
void check_config(const MaeConfig& config);
void check_config(const VitConfig& config);

}  // namespace sgmae
