// Whole .pth files: zip, legacy and plain pickles (io/torch_archive.h).
// sources: sgmae/io/torch_archive.cpp sgmae/io/pickle.cpp
// seeds: tests/golden/data/io/*.pth tests/golden/data/io/*.pt tests/golden/data/io/arrays*.pkl
#include "sgmae/io/torch_archive.h"

#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sgmae;
  return try_to(ExitCode::checkpoint, [&] {
    const TorchArchive archive = read_torch_archive({data, size}, "fuzz");
    for (const StoredTensor& tensor : archive.tensors) use(tensor.bytes);
    archive.rest.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  });
}
