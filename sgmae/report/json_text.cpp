#include "sgmae/report/json_text.h"

#include <algorithm>
#include <string_view>

namespace sgmae {
namespace {

struct Scan {
  int depth = 0;         // of the deepest value
  std::string repaired;  // with null for NaN and Infinity
};

Scan scan(const std::string& text) {
  Scan result;
  bool in_text = false;
  int depth = 0;
  for (std::size_t i = 0; i < text.size();) {
    std::size_t taken = 1;
    bool not_a_number = false;
    if (in_text) {
      if (text[i] == '\\') taken = 2;
    } else {
      if (text[i] == '[' || text[i] == '{') result.depth = std::max(result.depth, ++depth);
      if (text[i] == ']' || text[i] == '}') --depth;
      for (const std::string_view word : {"NaN", "-Infinity", "Infinity"})
        if (!not_a_number && text.compare(i, word.size(), word) == 0) {
          taken = word.size();
          not_a_number = true;
        }
    }
    if (text[i] == '"') in_text = !in_text;
    result.repaired += not_a_number ? "null" : text.substr(i, taken);
    i += taken;
  }
  return result;
}

}  // namespace

nlohmann::ordered_json parse_json(const std::string& text) {
  using nlohmann::ordered_json;
  const Scan scanned = scan(text);
  if (scanned.depth > deepest_json) return ordered_json(ordered_json::value_t::discarded);
  return ordered_json::parse(scanned.repaired, nullptr, /*allow_exceptions=*/false);
}

}  // namespace sgmae
