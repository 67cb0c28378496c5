#include <sys/syscall.h>
#include <unistd.h>

#include "sgmae/nn/kernels/cpu.h"
#include "sgmae/nn/kernels/tiles.h"

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
namespace amx {
extern const TileKernels kernels;
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

const TileKernels* tile_kernels() {
#ifdef SGMAE_X86
  // The unit's registers are large, so a process must ask the system for them.
  constexpr int request_permission = 0x1023, tile_data = 18;
  static const bool lent = __builtin_cpu_supports("amx-tile") &&
                           __builtin_cpu_supports("amx-bf16") &&
                           __builtin_cpu_supports("avx512bf16") &&
                           syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
  return lent ? &amx::kernels : nullptr;
#else
  return nullptr;
#endif
}

}  // namespace sgmae
