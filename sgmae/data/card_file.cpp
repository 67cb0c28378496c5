#include "sgmae/data/card_file.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

// What lies between the first line and the next one that are ---; "" without.
std::string header_of(const std::string& readme) {
  constexpr std::string_view blanks = " \t\r\n", mark = "---";
  const std::size_t begin = readme.starts_with("\xef\xbb\xbf") ? 3 : 0;
  const std::size_t first = std::min(readme.find_first_not_of(blanks, begin), readme.size());
  const auto line_at = [&](std::size_t at) {
    std::string_view line(readme.data() + at, std::min(readme.find('\n', at), readme.size()) - at);
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
  };
  if (line_at(first) != mark) return "";
  for (std::size_t at = first; (at = readme.find('\n', at)) != std::string::npos;)
    if (line_at(++at) == mark) return readme.substr(first + mark.size(), at - first - mark.size());
  return "";
}

std::string text_of(const YAML::Node& node, const std::string& what) {
  check(node.IsScalar(), ExitCode::data, what, " is not a text");
  return node.Scalar();
}

std::vector<std::string> texts_of(const YAML::Node& node, const std::string& what) {
  if (!node.IsSequence()) return {text_of(node, what)};
  std::vector<std::string> texts;
  for (const YAML::Node& entry : node) texts.push_back(text_of(entry, what));
  return texts;
}

std::vector<CardSplit> splits_of(const YAML::Node& files) {
  const bool maps = files.IsSequence() && files.size() > 0 && files[0].IsMap();
  if (!maps) return {{"train", texts_of(files, "data_files")}};
  std::vector<CardSplit> splits;
  for (const YAML::Node& entry : files) {
    check(entry.IsMap() && entry["split"] && entry["path"], ExitCode::data,
          "an entry of data_files has no split or no path");
    CardSplit split{text_of(entry["split"], "split"), texts_of(entry["path"], "path")};
    for (const CardSplit& other : splits)
      check(other.name != split.name, ExitCode::data, "data_files has the split ", split.name,
            " twice");
    splits.push_back(std::move(split));
  }
  return splits;
}

CardConfig config_of(const YAML::Node& node) {
  check(node.IsMap() && node["config_name"], ExitCode::data,
        "an entry of configs has no config_name");
  CardConfig config;
  config.name = text_of(node["config_name"], "config_name");
  if (const YAML::Node is_default = node["default"])
    config.is_default = is_default.as<bool>(/*fallback=*/false);
  if (const YAML::Node folder = node["data_dir"]) config.folder = text_of(folder, "data_dir");
  if (const YAML::Node files = node["data_files"]; files && !files.IsNull())
    config.splits = splits_of(files);
  return config;
}

}  // namespace

std::vector<CardConfig> parse_card(const std::string& readme) {
  const std::string header = header_of(readme);
  if (header.find("configs") == std::string::npos) return {};
  std::vector<CardConfig> configs;
  try {
    const YAML::Node card = YAML::Load(header);
    if (!card.IsMap() || !card["configs"]) return {};
    check(card["configs"].IsSequence(), ExitCode::data, "configs is no list");
    for (const YAML::Node& config : card["configs"]) configs.push_back(config_of(config));
  } catch (const YAML::Exception& error) {
    fail(ExitCode::data, "it is no YAML (line ", error.mark.line + 1, ": ", error.msg, ")");
  }
  return configs;
}

}  // namespace sgmae
