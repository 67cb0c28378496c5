// JSON of others.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace sgmae {

// What `text` says, or a discarded value (is_discarded()) where it is no JSON, or nested more than
// deepest_json levels: what walks through such values recurses. Python's NaN and Infinity become
// null.
inline constexpr int deepest_json = 64;
nlohmann::ordered_json parse_json(const std::string& text);

}  // namespace sgmae
