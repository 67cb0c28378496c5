// What the loader hands to training: pixels and where each came from, so that stored maps can
// follow the same crop and flip.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "sgmae/image/geometry.h"

namespace sgmae {

struct Batch {
  at::Tensor pixels;                   // [B, C, H, W] fp32, normalised
  std::vector<std::int64_t> index;     // [B] position in the data set
  std::vector<CropBox> crop;           // [B] what was cut out of the source image
  std::vector<ImageSize> source_size;  // [B] of the whole source image
  std::vector<std::uint8_t> flipped;   // [B] 1: mirrored after the crop
  std::vector<std::int64_t> label;     // [B] class, -1 where unlabelled
  std::vector<Placement> placed;       // [B] of fits that lay on a canvas; else empty
  at::Tensor labels;       // [B, H, W] uint8, with LoaderOptions::labels; else undefined
  at::Tensor second_view;  // as pixels, with LoaderOptions::two_views; else undefined

  std::int64_t size() const { return static_cast<std::int64_t>(index.size()); }
};

}  // namespace sgmae
