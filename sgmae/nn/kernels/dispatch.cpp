#include "sgmae/nn/kernels/cpu.h"

namespace sgmae {

namespace baseline {
extern const CpuKernels kernels;
}
#ifdef SGMAE_X86
namespace avx2 {
extern const CpuKernels kernels;
}
namespace avx512 {
extern const CpuKernels kernels;
}
#endif

const CpuKernels& cpu_kernels() {
#ifdef SGMAE_X86
  static const CpuKernels& best =
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
              __builtin_cpu_supports("avx512dq")
          ? avx512::kernels
      : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? avx2::kernels
                                                                        : baseline::kernels;
  return best;
#else
  return baseline::kernels;
#endif
}

bool cpu_has_bf16_products() {
#ifdef SGMAE_X86
  return __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

}  // namespace sgmae
