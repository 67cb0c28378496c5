// Which of the processor's instructions the program uses. Kernels that exist for several
// instruction sets ask here, and nowhere else, which of them to run.
#pragma once

#include <optional>
#include <string>

namespace sgmae {

// Each holds those before it.
enum class InstructionSet {
  baseline,     // what every processor of the architecture has
  avx2,         // with FMA
  avx512,       // F, BW, DQ and VL
  avx512_bf16,  // products of bf16
  amx           // the tile unit, for bf16
};

const char* name_of(InstructionSet set);

// The largest that the processor has and the system lends.
InstructionSet processor_instruction_set();

// The quickest of these: the largest, but for AVX512-BF16 without the tile unit where bf16 products
// take longer than as many of fp32, to which bf16 is then widened. On Intel's Emerald Rapids they
// take twice as long, on AMD's Zen 5 half as long; a measurement of a fifth of a millisecond tells,
// once.
InstructionSet quickest_instruction_set();

// The one in force: the quickest, or the one that the environment variable SGMAE_ISA names, read
// once. Throws Error(usage) for a word that it is not or that the processor lacks.
// LibTorch and the libraries inside it have variables of their own (docs/architecture.md).
InstructionSet instruction_set();

// The same as a function: `asked` is the variable's value, if it is set and not empty.
InstructionSet choose_instruction_set(InstructionSet processor, InstructionSet quickest,
                                      const std::optional<std::string>& asked);

}  // namespace sgmae
