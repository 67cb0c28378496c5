// List files (data/list_file.h).
// sources: sgmae/data/list_file.cpp sgmae/data/split.cpp
#include <algorithm>
#include <string>

#include "fuzz/fuzz.h"
#include "sgmae/data/labels.h"
#include "sgmae/data/list_file.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sgmae;
  return try_to(ExitCode::data, [&] {
    const std::string text = as_utf8({data, data + size}, "list");
    std::vector<std::string> words;
    for (const ListLine& line : parse_list(text, "list").lines) {
      if (line.path.empty() || line.number < 1) std::abort();
      words.push_back(line.label);
    }
    std::vector<LeftOut> left_out;
    const Labels labels = number_by_word(
        words, "list", [](std::size_t i) { return std::to_string(i); }, left_out);
    const auto classes = static_cast<std::int64_t>(labels.class_names.size());
    for (const std::int64_t label : labels.labels)
      if (label < -1 || label >= classes) std::abort();
  });
}
