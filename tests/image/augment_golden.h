// What tests/golden/augment.py wrote.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "sgmae/base/file.h"

namespace sgmae {

inline nlohmann::json augment_golden(const std::string& part) {
  return nlohmann::json::parse(read_text(std::string(SGMAE_TEST_DATA) + "/augment.json"))[part];
}

}  // namespace sgmae
