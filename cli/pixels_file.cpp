#include "cli/pixels_file.h"

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

TensorFile read_tensors(const std::string& path) {
  try {
    return read_safetensors(path);
  } catch (const Error& error) {  // here a broken file is bad data, not a bad checkpoint
    fail(ExitCode::data, error.what());
  }
}

}  // namespace

PixelsFile read_pixels_file(const std::string& path) {
  PixelsFile read{read_tensors(path), {}};
  const at::Tensor* pixels = read.file.find("pixels");
  check(pixels && pixels->scalar_type() == at::kFloat && pixels->dim() == 4 && pixels->size(0) > 0,
        ExitCode::data, path, " has no fp32 tensor `pixels` [B, C, H, W]");
  read.pixels = *pixels;
  return read;
}

}  // namespace sgmae
