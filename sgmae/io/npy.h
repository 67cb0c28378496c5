// NumPy's .npy files: numpy.load(path) gives the tensor.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>

namespace sgmae {

// Version 1 of the format, C order, atomic. Throws Error(usage) for bf16, which NumPy lacks.
void write_npy(const std::filesystem::path& path, const at::Tensor& tensor);

// Contiguous. Throws Error(data) on anything malformed (parse_npy_header).
at::Tensor read_npy(const std::filesystem::path& path);

}  // namespace sgmae
