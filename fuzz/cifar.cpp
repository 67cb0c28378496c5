// CIFAR's archives, with tar, pickles and records in them (data/cifar.cpp).
// sources: sgmae/data/cifar.cpp sgmae/data/tar.cpp sgmae/io/pickle.cpp
// seeds: tests/golden/data/data/*.tar.gz
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "fuzz/fuzz.h"
#include "sgmae/data/formats.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sgmae;
  // A file in memory: the reader unpacks .gz as it reads, so it takes paths. Plain tar passes too.
  static const int file = ::memfd_create("fuzz", 0);
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  if (::ftruncate(file, 0) != 0 || ::pwrite(file, data, size, 0) < 0) std::abort();
  for (const char* split : {"train", "test"})
    try_to(ExitCode::data, [&] { open_cifar(path, split); });
  return 0;
}
