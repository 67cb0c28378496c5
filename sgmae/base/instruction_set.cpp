#include "sgmae/base/instruction_set.h"

#ifdef __x86_64__
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

// In the order of InstructionSet.
constexpr std::array kNames{"baseline", "avx2", "avx512", "avx512_bf16", "amx"};

#ifdef __x86_64__
bool has_tile_unit() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  constexpr unsigned amx_bf16 = 1u << 22, amx_tile = 1u << 24;
  if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) || !(edx & amx_bf16) || !(edx & amx_tile))
    return false;
  // The unit's registers are large, so a process must ask the system for them.
  constexpr int request_permission = 0x1023, tile_data = 18;
  return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
}

// Seconds of 1,000 instructions that do not wait for each other, on zeros.
#define SGMAE_SECONDS_OF(instruction)                                                           \
  [] {                                                                                          \
    const auto begin = std::chrono::steady_clock::now();                                        \
    asm volatile(                                                                               \
        ".irp sum,0,1,2,3,4,5,6,7,8,9,10\n vpxord %%zmm\\sum, %%zmm\\sum, %%zmm\\sum\n .endr\n" \
        ".rept 100\n .irp sum,1,2,3,4,5,6,7,8,9,10\n " instruction                              \
        " %%zmm0, %%zmm0, %%zmm\\sum\n .endr\n .endr\n vzeroupper" ::                           \
            : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",   \
              "xmm10");                                                                         \
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();     \
  }()

// How many instructions of fp32 take as long as one of bf16. The shortest of many runs count: other
// work makes some longer, none shorter.
double measured_cost_of_bf16() {
  double fp32 = 1, bf16 = 1;
  for (int run = 0; run < 20; ++run) {
    fp32 = std::min(fp32, SGMAE_SECONDS_OF("vfmadd231ps"));
    bf16 = std::min(bf16, SGMAE_SECONDS_OF("vdpbf16ps"));
  }
  return bf16 / fp32;
}

#undef SGMAE_SECONDS_OF
#endif

InstructionSet detect() {
#ifdef __x86_64__
  // Of x86-64-v3 and -v4, for which kernels are compiled, what both of our compilers can ask for.
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") ||
      !__builtin_cpu_supports("bmi") || !__builtin_cpu_supports("bmi2"))
    return InstructionSet::baseline;
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512cd") || !__builtin_cpu_supports("avx512dq") ||
      !__builtin_cpu_supports("avx512vl"))
    return InstructionSet::avx2;
  if (!__builtin_cpu_supports("avx512bf16")) return InstructionSet::avx512;
  return has_tile_unit() ? InstructionSet::amx : InstructionSet::avx512_bf16;
#else
  return InstructionSet::baseline;
#endif
}

}  // namespace

const char* name_of(InstructionSet set) {
  return kNames[static_cast<std::size_t>(set)];
}

InstructionSet processor_instruction_set() {
  static const InstructionSet set = detect();
  return set;
}

InstructionSet quickest_instruction_set() {
  const InstructionSet set = processor_instruction_set();
#ifdef __x86_64__
  // An instruction of bf16 makes two products, one of fp32 makes one.
  static const bool widening_is_quicker =
      set == InstructionSet::avx512_bf16 && measured_cost_of_bf16() > 2;
  if (widening_is_quicker) return InstructionSet::avx512;
#endif
  return set;
}

InstructionSet choose_instruction_set(InstructionSet processor, InstructionSet quickest,
                                      const std::optional<std::string>& asked) {
  if (!asked) return quickest;
  std::string possible;
  for (std::size_t i = 0; i <= static_cast<std::size_t>(processor); ++i) {
    if (*asked == kNames[i]) return static_cast<InstructionSet>(i);
    possible += str(possible.empty() ? "" : ", ", kNames[i]);
  }
  fail(ExitCode::usage, "SGMAE_ISA is '", *asked, "'; this processor has: ", possible);
}

InstructionSet instruction_set() {
  static const InstructionSet set = [] {
    const char* asked = std::getenv("SGMAE_ISA");
    return choose_instruction_set(
        processor_instruction_set(), quickest_instruction_set(),
        asked && *asked ? std::optional<std::string>(asked) : std::nullopt);
  }();
  return set;
}

}  // namespace sgmae
