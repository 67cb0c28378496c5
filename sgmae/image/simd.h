// Whether the hot loops of image/ use AVX2.
#pragma once

#include "sgmae/base/instruction_set.h"

namespace sgmae {

enum class Simd { automatic, none };  // none: portable code, with the same results

inline bool use_simd(Simd simd) {
  return simd == Simd::automatic && instruction_set() >= InstructionSet::avx2;
}

}  // namespace sgmae
