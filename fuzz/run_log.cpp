// log.txt and events.jsonl of a run, whoever wrote them (report/run_reader.h).
// sources: sgmae/report/run_reader.cpp sgmae/report/json_text.cpp sgmae/report/markup.cpp
#include "fuzz/fuzz.h"
#include "sgmae/report/run_reader.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sgmae;
  return try_to(ExitCode::data, [&] {
    const std::string text(reinterpret_cast<const char*>(data), size);
    const RunLog log = parse_log(text);
    for (const auto& key : log.keys)
      if (log.column.at(key).size() != log.epoch.size()) std::abort();
    if (parse_events(text).events.size() > RunMessages::most_events) std::abort();
  });
}
