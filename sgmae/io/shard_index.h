// The JSON that lies beside weights: objects in general, and the index of a sharded checkpoint,
// which says of each tensor in which file beside it the tensor lies. Free of torch.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <unordered_set>

namespace sgmae {

// `where` names the file in errors. Throws Error(checkpoint) for anything else than a JSON object.
nlohmann::json parse_json_object(std::string_view text, const std::string& where);

// Names of tensors by the file that holds them; at least one of each.
using ShardIndex = std::map<std::string, std::unordered_set<std::string>>;

// Throws Error(checkpoint) for JSON that is no index, and for a file that would lie elsewhere than
// beside the index.
ShardIndex parse_shard_index(std::string_view text, const std::string& where);

}  // namespace sgmae
