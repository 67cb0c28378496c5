#include "sgmae/base/instruction_set.h"
#include "sgmae/dense/kernels/maps.h"
#include "sgmae/dense/kernels/winograd.h"

namespace sgmae {

namespace baseline {
extern const MapKernels map_kernels;
extern const AllWinogradKernels winograd_kernels;
}  // namespace baseline
#ifdef __x86_64__
namespace avx2 {
extern const MapKernels map_kernels;
extern const AllWinogradKernels winograd_kernels;
}  // namespace avx2
namespace avx512 {
extern const MapKernels map_kernels;
extern const AllWinogradKernels winograd_kernels;
}  // namespace avx512
#else  // there is the baseline alone
namespace avx2 = baseline;
namespace avx512 = baseline;
#endif

namespace {

template <class Kernels>
const Kernels& widest(const Kernels& baseline, const Kernels& avx2, const Kernels& avx512) {
  return instruction_set() >= InstructionSet::avx512 ? avx512
         : instruction_set() >= InstructionSet::avx2 ? avx2
                                                     : baseline;
}

}  // namespace

const MapKernels& map_kernels() {
  static const MapKernels& chosen =
      widest(baseline::map_kernels, avx2::map_kernels, avx512::map_kernels);
  return chosen;
}

const AllWinogradKernels& all_winograd_kernels() {
  static const AllWinogradKernels& chosen =
      widest(baseline::winograd_kernels, avx2::winograd_kernels, avx512::winograd_kernels);
  return chosen;
}

}  // namespace sgmae
