#include "sgmae/base/instruction_set.h"
#include "sgmae/nn/kernels/cpu.h"
#include "sgmae/nn/kernels/product.h"

namespace sgmae {

namespace baseline {
extern const CpuKernels kernels;
}
#ifdef __x86_64__
namespace avx2 {
extern const CpuKernels kernels;
extern const ProductKernels products;
}  // namespace avx2
namespace avx512 {
extern const CpuKernels kernels;
extern const ProductKernels products;
}  // namespace avx512
namespace avx512_bf16 {
extern const ProductKernels products;
}
namespace amx {
extern const ProductKernels products;
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

const ProductKernels* product_kernels() {
#ifdef __x86_64__
  switch (instruction_set()) {
    case InstructionSet::amx:
      return &amx::products;
    case InstructionSet::avx512_bf16:
      return &avx512_bf16::products;
    case InstructionSet::avx512:
      return &avx512::products;
    case InstructionSet::avx2:
      return &avx2::products;
    case InstructionSet::baseline:
      break;
  }
#endif
  return nullptr;
}

}  // namespace sgmae
