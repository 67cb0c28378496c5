// The header of NumPy's .npy files (io/npy_header.h).
// seeds: tests/golden/data/io/*.npy
#include "fuzz/fuzz.h"
#include "sgmae/io/npy_header.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sgmae;
  return try_to(ExitCode::data, [&] { use(parse_npy_header({data, size}, "fuzz").data); });
}
