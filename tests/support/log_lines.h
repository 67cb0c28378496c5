// What a run wrote: log.txt, events.jsonl.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "sgmae/base/file.h"

namespace sgmae {

inline std::vector<nlohmann::json> json_lines(const std::filesystem::path& file) {
  std::vector<nlohmann::json> lines;
  std::istringstream text(read_text(file));
  for (std::string line; std::getline(text, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

inline std::vector<nlohmann::json> log_lines(const std::filesystem::path& run) {
  return json_lines(run / "log.txt");
}

// Without what the clock decides.
inline std::vector<nlohmann::json> timeless_log(const std::filesystem::path& run) {
  std::vector<nlohmann::json> lines = log_lines(run);
  for (nlohmann::json& line : lines)
    for (const char* key : {"img_per_s", "tflop_per_s", "data_wait_frac"}) line.erase(key);
  return lines;
}

}  // namespace sgmae
