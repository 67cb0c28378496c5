// The JSON header of safetensors and its offsets (io/safetensors_header.h).
// sources: sgmae/io/safetensors_header.cpp
// seeds: tests/golden/data/io/*.safetensors
#include "fuzz/fuzz.h"
#include "sgmae/io/safetensors_header.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sgmae;
  return try_to(ExitCode::checkpoint, [&] {
    const SafetensorsHeader header = parse_safetensors_header({data, size}, "fuzz");
    for (const SafetensorsEntry& entry : header.entries)
      use(header.data.subspan(entry.begin, entry.end - entry.begin));
  });
}
