// What every target does: bytes go to a parser, which may refuse them with an Error of the right
// code and do nothing else that ends it. Any other exception, a sanitizer's report, a hang or
// memory beyond the limit is a finding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "sgmae/base/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace sgmae {

// Keeps the compiler from leaving out reads of what a parser returned.
inline void use(std::span<const std::uint8_t> bytes) {
  std::uint8_t sum = 0;
  for (const std::uint8_t byte : bytes) sum = static_cast<std::uint8_t>(sum + byte);
  asm volatile("" : : "r"(sum));
}

template <class Parse>
int try_to(ExitCode expected, const Parse& parse) {
  try {
    parse();
  } catch (const Error& error) {
    if (error.code() != expected) std::abort();
  }
  return 0;
}

}  // namespace sgmae
