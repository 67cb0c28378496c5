// The file of pixels that some commands take in place of images.
#pragma once

#include <string>

#include "sgmae/io/safetensors.h"

namespace sgmae {

struct PixelsFile {
  TensorFile file;
  at::Tensor pixels;  // [B, C, H, W] fp32, B > 0
};

// Throws Error(data) for anything else than a safetensors file that holds `pixels`.
PixelsFile read_pixels_file(const std::string& path);

}  // namespace sgmae
