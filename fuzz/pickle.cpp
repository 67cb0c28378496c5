// The pickle machine (io/pickle.h).
// sources: sgmae/io/pickle.cpp
// seeds: tests/golden/data/io/*.pkl tests/golden/data/io/checkpoint_legacy.pth
#include "sgmae/io/pickle.h"

#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sgmae;
  return try_to(ExitCode::checkpoint, [&] {
    const Pickle pickle = read_pickle({data, size}, "fuzz");
    for (const PickleValue& value : pickle.values) {
      if (const auto* dict = value.as<PickleDict>()) dict->find("key");
      if (const auto* tensor = value.as<PickleTensor>()) {
        if (pickle_integers(*tensor->size).size() != pickle_integers(*tensor->stride).size())
          abort();
      }
      if (const auto* unknown = value.as<PickleUnknown>(); unknown && unknown->name.empty())
        abort();
      if (const auto* array = value.as<PickleArray>()) {
        pickle_integers(*array->shape);
        use({reinterpret_cast<const std::uint8_t*>(array->bytes->data.data()),
             array->bytes->data.size()});
      }
    }
  });
}
