// IDX files of images, as MNIST has them (data/source.h).
// sources: sgmae/data/source.cpp
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "fuzz/fuzz.h"
#include "sgmae/data/source.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sgmae;
  // A file in memory: the reader unpacks .gz as it reads, so it takes paths.
  static const int file = ::memfd_create("fuzz", 0);
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  if (::ftruncate(file, 0) != 0 || ::pwrite(file, data, size, 0) < 0) std::abort();
  return try_to(ExitCode::data, [&] {
    const auto source = open_source(path);
    OpenedImage opened;
    Image image;
    source->open(source->size() - 1, opened);
    decode(opened, {0, 0, opened.size.width, opened.size.height}, 3, image);
  });
}
