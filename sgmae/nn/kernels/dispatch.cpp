#include "sgmae/base/instruction_set.h"
#include "sgmae/nn/kernels/cpu.h"
#include "sgmae/nn/kernels/tiles.h"

namespace sgmae {

namespace baseline {
extern const CpuKernels kernels;
}
#ifdef __x86_64__
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
#ifdef __x86_64__
  static const CpuKernels& chosen = instruction_set() >= InstructionSet::avx512 ? avx512::kernels
                                    : instruction_set() >= InstructionSet::avx2 ? avx2::kernels
                                                                                : baseline::kernels;
  return chosen;
#else
  return baseline::kernels;
#endif
}

const TileKernels* tile_kernels() {
#ifdef __x86_64__
  return instruction_set() >= InstructionSet::amx ? &amx::kernels : nullptr;
#else
  return nullptr;
#endif
}

}  // namespace sgmae
