#include "sgmae/base/instruction_set.h"
#include "sgmae/dense/kernels/maps.h"

namespace sgmae {

namespace baseline {
extern const MapKernels map_kernels;
}
#ifdef __x86_64__
namespace avx2 {
extern const MapKernels map_kernels;
}
namespace avx512 {
extern const MapKernels map_kernels;
}
#endif

const MapKernels& map_kernels() {
#ifdef __x86_64__
  static const MapKernels& chosen =
      instruction_set() >= InstructionSet::avx512 ? avx512::map_kernels
      : instruction_set() >= InstructionSet::avx2 ? avx2::map_kernels
                                                  : baseline::map_kernels;
  return chosen;
#else
  return baseline::map_kernels;
#endif
}

}  // namespace sgmae
