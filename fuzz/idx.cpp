// IDX files, as MNIST has them (data/idx.h).
// sources: sgmae/data/idx.cpp
#include <algorithm>

#include "fuzz/fuzz.h"
#include "sgmae/data/idx.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sgmae;
  for (const std::size_t dimensions : {1, 3}) {
    std::span<const std::uint8_t> rest(data, size);
    const ReadNext read = [&](std::span<std::uint8_t> out) {
      const std::size_t count = std::min(out.size(), rest.size());
      std::copy_n(rest.begin(), count, out.begin());
      rest = rest.subspan(count);
      return count;
    };
    try_to(ExitCode::data, [&] { use(read_idx(read, dimensions, "input").values); });
  }
  return 0;
}
