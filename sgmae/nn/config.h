// Sizes of a masked autoencoder (method: MAE, He et al. 2022, section 3 and appendix A.1).
#pragma once

#include <cstdint>
#include <string>

namespace sgmae {

struct VitSize {
  std::int64_t dim = 768, depth = 12, heads = 12;
};

struct MaeConfig {
  std::int64_t height = 224, width = 224, channels = 3;
  std::int64_t patch_size = 16;
  VitSize encoder{768, 12, 12};
  VitSize decoder{512, 8, 16};
  std::int64_t mlp_ratio = 4;
  double layer_norm_eps = 1e-6;
  bool norm_pix_loss = false;

  std::int64_t grid_height() const { return height / patch_size; }
  std::int64_t grid_width() const { return width / patch_size; }
  std::int64_t n_patches() const { return grid_height() * grid_width(); }
  std::int64_t patch_values() const { return patch_size * patch_size * channels; }
};

// The configuration of a published size by any of its names: mae_vit_base_patch16,
// vit_base_patch16, vit_base_patch16_224.mae; base, large, huge, and small and tiny beside them.
// `patchN` may be any size. Throws Error(usage) for other names.
MaeConfig named_config(const std::string& name);

// Throws Error(usage) unless the sizes fit together (patch divides the image, heads divide dims …).
void check_config(const MaeConfig& config);

}  // namespace sgmae
