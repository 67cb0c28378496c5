// What loops over values are made of, for files that are compiled once per instruction set with
// SGMAE_ISA naming it: each set has its own, so that the linker does not give all of them one.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "sgmae/nn/kernels/cpu.h"

namespace sgmae::SGMAE_ISA {

inline float load(float value) {
  return value;
}
inline float load(Bf16 value) {
  const std::uint32_t bits = static_cast<std::uint32_t>(value.bits) << 16;
  float out;
  std::memcpy(&out, &bits, 4);
  return out;
}

inline void store(float& to, float value) {
  to = value;
}
inline void store(Bf16& to, float value) {
  to.bits = static_cast<std::uint16_t>(rounded_bits(value) >> 16);
}

// e^x to 2 units in the last place, and 0 below -87.7: 2^n times a Taylor polynomial on |f| <=
// ln2/2. Branch-free, so that the loops around it become vector code (the C library's is a call per
// value).
inline float exponential(float x) {
  x = x > 88.0f ? 88.0f : x;
  x = x < -88.2f ? -88.2f : x;
  const float n = std::floor(x * 1.44269504f + 0.5f);
  const float f = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.0f / 5040;
  p = p * f + 1.0f / 720;
  p = p * f + 1.0f / 120;
  p = p * f + 1.0f / 24;
  p = p * f + 1.0f / 6;
  p = p * f + 0.5f;
  p = p * f + 1.0f;
  p = p * f + 1.0f;
  const std::uint32_t bits = static_cast<std::uint32_t>(static_cast<std::int32_t>(n) + 127) << 23;
  float power;
  std::memcpy(&power, &bits, 4);
  return p * power;
}

}  // namespace sgmae::SGMAE_ISA
