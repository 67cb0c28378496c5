// Samples out of an archive's entries (data/samples.h): a byte picks each name.
// sources: sgmae/data/samples.cpp
#include <array>
#include <string>

#include "fuzz/fuzz.h"
#include "sgmae/data/samples.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sgmae;
  constexpr std::array<const char*, 12> parts{"a",    "b",     ".",      "/",     ".jpg", ".png",
                                              ".cls", ".json", "__x__/", ".avif", "5x",   ".."};
  return try_to(ExitCode::data, [&] {
    SampleCollector collector({}, [&](const TarEntry& entry) {
      return std::string(data + entry.offset, data + entry.offset + entry.size);
    });
    TarEntry entry;
    for (std::size_t i = 0; i < size; ++i) {
      if (data[i] < 200) {
        entry.name += parts[data[i] % parts.size()];
        continue;
      }
      entry.kind = static_cast<TarEntry::Kind>(data[i] % 4);
      entry.offset = i;
      entry.size = (size - i) % 32;
      const std::string last = entry.name;
      collector.add(entry, data[i] > 250 ? "c.tar/" : "");
      entry = {};
      entry.target = last;
    }
    std::vector<LeftOut> left_out;
    for (const Sample& sample : collector.finish(left_out))
      if (sample.offset > size || sample.size > size - sample.offset) std::abort();
  });
}
