// iNaturalist's JSON (data/inaturalist.cpp).
// sources: sgmae/data/inaturalist.cpp sgmae/data/split.cpp
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "fuzz/fuzz.h"
#include "sgmae/data/formats.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sgmae;
  static const int file = ::memfd_create("fuzz", 0);  // the reader takes paths
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  if (::ftruncate(file, 0) != 0 || ::pwrite(file, data, size, 0) < 0) std::abort();
  return try_to(ExitCode::data, [&] { open_inaturalist(path, "train", ""); });
}
