// The YAML header of a README.md (data/card_file.h).
// sources: sgmae/data/card_file.cpp
// links: yaml-cpp
#include "sgmae/data/card_file.h"

#include <string>

#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sgmae;
  return try_to(ExitCode::data, [&] {
    for (const CardConfig& config : parse_card({data, data + size}))
      for (const CardSplit& split : config.splits)
        for (const std::string& pattern : split.patterns)
          if (pattern.size() > size) std::abort();
  });
}
