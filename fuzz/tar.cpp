// Headers of tar archives (data/tar.h).
// sources: sgmae/data/tar.cpp
// seeds: tests/golden/data/data/*.tar
#include <algorithm>

#include "fuzz/fuzz.h"
#include "sgmae/data/tar.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sgmae;
  const std::span<const std::uint8_t> archive(data, size);
  const ReadAt read = [&](std::uint64_t offset, std::span<std::uint8_t> out) {
    if (offset > size || out.size() > size - offset) std::abort();  // must never be asked for
    std::copy_n(archive.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
  };
  return try_to(ExitCode::data, [&] {
    read_tar(read, 0, size,
             [&](const TarEntry& entry) { use(archive.subspan(entry.offset).first(entry.size)); });
  });
}
