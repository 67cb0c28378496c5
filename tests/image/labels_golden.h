// What tests/golden/labels.py wrote.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "golden.h"

namespace sgmae {

inline std::string labels_path(const std::string& file) {
  return std::string(SGMAE_TEST_DATA) + "/labels/" + file;
}

inline nlohmann::json labels_golden(const std::string& part) {
  return nlohmann::json::parse(read_text(labels_path("golden.json")))[part];
}

}  // namespace sgmae
