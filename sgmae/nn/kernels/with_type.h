// From LibTorch's types of tensors to those of the kernels.
#pragma once

#include <c10/core/ScalarType.h>

#include "sgmae/base/error.h"
#include "sgmae/nn/kernels/cpu.h"

namespace sgmae {

// Calls body(T{}) with the kernels' type for activations of `type`, fp32 or bf16.
template <class Body>
void with_type(c10::ScalarType type, Body body) {
  if (type == c10::ScalarType::Float) return body(float{});
  SGMAE_ASSERT(type == c10::ScalarType::BFloat16);
  body(Bf16{});
}

}  // namespace sgmae
