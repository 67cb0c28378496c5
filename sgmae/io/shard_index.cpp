#include "sgmae/io/shard_index.h"

#include "sgmae/base/error.h"

namespace sgmae {

nlohmann::json parse_json_object(std::string_view text, const std::string& where) {
  nlohmann::json json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  check(json.is_object(), ExitCode::checkpoint, where,
        " is not a JSON object; an incomplete download?");
  return json;
}

ShardIndex parse_shard_index(std::string_view text, const std::string& where) {
  const nlohmann::json index = parse_json_object(text, where);
  const auto map = index.find("weight_map");
  check(map != index.end() && map->is_object() && !map->empty(), ExitCode::checkpoint, where,
        " is JSON without a weight_map, so it is not an index of weights");
  ShardIndex names_of;
  for (const auto& [name, file] : map->items()) {
    const std::string shard = file.is_string() ? file.get<std::string>() : "";
    check(!shard.empty() && shard.find('/') == std::string::npos, ExitCode::checkpoint, where,
          " does not name a file beside it for the tensor ", name);
    names_of[shard].insert(name);
  }
  return names_of;
}

}  // namespace sgmae
