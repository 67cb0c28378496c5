// JSON beside weights: transformers' and timm's config.json, arguments of training files
// (checkpoint/model_json.h), the index of shards (io/shard_index.h).
// sources: sgmae/checkpoint/model_json.cpp sgmae/io/shard_index.cpp sgmae/nn/config.cpp
#include "sgmae/checkpoint/model_json.h"

#include "fuzz/fuzz.h"
#include "sgmae/io/shard_index.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sgmae;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try_to(ExitCode::checkpoint, [&] {
    const nlohmann::json json = parse_json_object(text, "fuzz");
    for (const bool counts_done : {false, true})
      try_to(ExitCode::checkpoint, [&] {
        DescribedModel described;
        describe_from_training(json, counts_done, described);
      });
    try_to(ExitCode::checkpoint, [&] {
      DescribedModel described;
      describe_from_header(json, described);
    });
    DescribedModel described;
    describe_from_folder(json, json, described);
    if (described.height && *described.height * *described.width <= 0) std::abort();
  });
  return try_to(ExitCode::checkpoint, [&] {
    for (const auto& [file, names] : parse_shard_index(text, "fuzz"))
      if (names.empty() || file.find('/') != std::string::npos) std::abort();
  });
}
