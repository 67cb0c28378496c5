// Oracle: the definition of the choice; which instructions this processor has, GCC's own list.
#include "sgmae/base/instruction_set.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

using enum InstructionSet;

constexpr InstructionSet kAll[] = {baseline, avx2, avx512, avx512_bf16, amx};

TEST(InstructionSets, WithoutAWishItIsTheQuickest) {
  for (const InstructionSet set : kAll) EXPECT_EQ(choose_instruction_set(amx, set, {}), set);
  EXPECT_LE(quickest_instruction_set(), processor_instruction_set());
}

TEST(InstructionSets, ASmallerOneCanBeAskedForAndNoLarger) {
  for (const InstructionSet processor : kAll)
    for (const InstructionSet asked : kAll)
      if (asked <= processor)
        EXPECT_EQ(choose_instruction_set(processor, baseline, name_of(asked)), asked);
      else
        EXPECT_THROW(choose_instruction_set(processor, baseline, name_of(asked)), Error);
}

TEST(InstructionSets, ARefusalNamesTheVariableTheWordAndWhatIsPossible) {
  for (const char* word : {"amx", "AVX2", "sse", " avx2"}) {
    try {
      choose_instruction_set(avx512, avx512, word);
      FAIL() << word;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::usage);
      EXPECT_EQ(std::string(error.what()),
                str("SGMAE_ISA is '", word, "'; this processor has: baseline, avx2, avx512"));
    }
  }
}

// The suite has a process of its own, in which nothing has asked before.
TEST(InstructionSetInForce, IsReadFromTheEnvironmentOnce) {
  setenv("SGMAE_ISA", "none such", 1);
  EXPECT_THROW(instruction_set(), Error);
  setenv("SGMAE_ISA", "baseline", 1);
  EXPECT_EQ(instruction_set(), baseline);
  setenv("SGMAE_ISA", "", 1);
  EXPECT_EQ(instruction_set(), baseline);
}

#ifdef __x86_64__
TEST(InstructionSets, TheProcessorsIsWhatGccSays) {
  const InstructionSet set = processor_instruction_set();
  EXPECT_EQ(set >= avx2, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"));
  EXPECT_EQ(set >= avx512, __builtin_cpu_supports("x86-64-v4") != 0);
  EXPECT_EQ(set >= avx512_bf16, __builtin_cpu_supports("avx512bf16") != 0);
  EXPECT_LE(set >= amx, __builtin_cpu_supports("amx-bf16") != 0);  // the system may not lend it
}
#endif

}  // namespace
}  // namespace sgmae
