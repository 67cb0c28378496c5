// Tensors drawn, read and compared.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <stdexcept>
#include <string>

#include "sgmae/base/rng.h"
#include "sgmae/io/safetensors.h"

namespace sgmae {

// |ours - exact| / |exact|, Euclidean, in fp64; either may lie on any device.
inline double relative_error(const at::Tensor& ours, const at::Tensor& exact) {
  const at::Tensor wanted = exact.cpu().to(at::kDouble);
  const double error = ours.cpu().to(at::kDouble).sub(wanted).norm().item<double>();
  return error / std::max(wanted.norm().item<double>(), 1e-12);
}

// Standard normal fp32.
inline at::Tensor noise(at::IntArrayRef shape, std::uint64_t seed) {
  at::Tensor out = at::empty(shape);
  Rng rng(seed, 0, 0, Purpose::probe);
  for (std::int64_t i = 0; i < out.numel(); ++i)
    out.data_ptr<float>()[i] = static_cast<float>(rng.normal());
  return out;
}

// A tensor of a golden file.
inline const at::Tensor& golden_tensor(const TensorFile& file, const std::string& name) {
  const at::Tensor* tensor = file.find(name);
  if (!tensor) throw std::runtime_error("no golden " + name);
  return *tensor;
}

}  // namespace sgmae
