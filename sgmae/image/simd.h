// Whether the hot loops of image/ use AVX2.
#pragma once

namespace sgmae {

enum class Simd { automatic, none };  // none: portable code, with the same results

inline bool use_simd(Simd simd) {
  return simd == Simd::automatic && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

}  // namespace sgmae
