// Header and index of packed data sets (data/pack.h). The index's checksum is made to fit, or the
// fuzzer would never see behind it.
// sources: sgmae/data/pack.cpp sgmae/data/split.cpp
#include <zlib.h>

#include "fuzz/fuzz.h"
#include "sgmae/data/pack.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sgmae;
  const std::span<const std::uint8_t> bytes(data, size);
  try_to(ExitCode::data, [&] { read_pack_header(bytes, size); });
  const PackHeader header{.index_offset = 1 << 20,
                          .index_size = size,
                          .index_crc = static_cast<std::uint32_t>(crc32_z(0, data, size))};
  return try_to(ExitCode::data, [&] {
    for (const PackIndex::Record& record : read_pack_index(bytes, header).records)
      if (record.offset + record.size > header.index_offset) std::abort();
  });
}
