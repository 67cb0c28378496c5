// The zip directory and the entries (io/zip.h).
// seeds: tests/golden/data/io/*.zip tests/golden/data/io/big_endian.pth
#include "sgmae/io/zip.h"

#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sgmae;
  return try_to(ExitCode::checkpoint, [&] {
    const ZipArchive archive = read_zip_directory({data, size}, "fuzz");
    for (const ZipEntry& entry : archive.entries) use(read_zip_entry(archive, entry).bytes);
  });
}
