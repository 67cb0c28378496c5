// log.txt of a run, whoever wrote it (report/run_reader.h).
// sources: sgmae/report/run_reader.cpp sgmae/report/json_text.cpp
#include "fuzz/fuzz.h"
#include "sgmae/report/run_reader.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sgmae;
  return try_to(ExitCode::data, [&] {
    const RunLog log = parse_log({reinterpret_cast<const char*>(data), size});
    for (const auto& key : log.keys)
      if (log.column.at(key).size() != log.epoch.size()) std::abort();
  });
}
