// What tests/golden/image.py wrote.
#pragma once

#include <cstdint>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sgmae/base/file.h"
#include "sgmae/image/image.h"

namespace sgmae {

inline std::string golden_path(const std::string& file) {
  return std::string(SGMAE_TEST_DATA) + "/image/" + file;
}

inline nlohmann::json golden(const std::string& part) {
  return nlohmann::json::parse(read_text(golden_path("golden.json")))[part];
}

// FNV-1a, 64 bits, as hexadecimal digits.
inline std::string fingerprint(const std::vector<std::uint8_t>& bytes) {
  std::uint64_t value = 0xcbf29ce484222325u;
  for (const std::uint8_t byte : bytes) value = (value ^ byte) * 0x100000001b3u;
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

}  // namespace sgmae
