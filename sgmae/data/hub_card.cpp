#include "sgmae/data/hub_card.h"

#include <fnmatch.h>

#include <algorithm>
#include <set>
#include <utility>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/data/card_file.h"
#include "sgmae/data/file_type.h"
#include "sgmae/data/files.h"
#include "sgmae/data/split.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

constexpr const char* file_name = "README.md";

void match(const fs::path& folder, const std::vector<std::string>& segments, std::size_t next,
           std::vector<fs::path>& found) {
  const std::string& segment = segments[next];
  const bool last = next + 1 == segments.size();
  const auto take = [&](const fs::path& path, bool is_a_folder) {
    if (last && !is_a_folder && is_file(path)) found.push_back(path);
    if (!last && is_a_folder) match(path, segments, next + 1, found);
  };
  if (segment.find_first_of("*?[") == std::string::npos) {
    take(folder / segment, is_folder(folder / segment));
    return;
  }
  const bool any_depth = segment == "**";
  if (any_depth && !last) match(folder, segments, next + 1, found);
  for (const auto& [name, is_a_folder] : list_folder(folder)) {
    const fs::path path = folder / name;
    if (is_a_folder && name.starts_with("__") && !segment.starts_with("__")) continue;
    if (!any_depth) {
      if (::fnmatch(segment.c_str(), name.c_str(), FNM_NOESCAPE) == 0) take(path, is_a_folder);
    } else if (!is_a_folder) {
      take(path, false);
    } else if (!fs::is_symlink(path)) {  // which may lead back
      match(path, segments, next, found);
    }
  }
}

std::vector<CardConfig> read_card(const fs::path& folder) {
  constexpr std::uint64_t most = 16 << 20;  // bytes
  const fs::path card = folder / file_name;
  if (!is_file(card)) return {};
  const std::vector<std::uint8_t> bytes = read_file(card, ExitCode::data, most);
  try {
    return parse_card({bytes.begin(), bytes.end()});
  } catch (const Error& error) {
    fail(ExitCode::data, card.string(),
         ": the header does not say which files are which split: ", error.what(),
         "; mend it, or give the files themselves as the path");
  }
}

std::string list_of(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

// Those of a configuration's splits.
class CardFiles {
 public:
  CardFiles(const fs::path& folder, const CardConfig& config,
            const std::vector<std::string>& types) {
    for (const CardSplit& split : config.splits) {
      std::vector<fs::path>& files =
          by_split_.emplace_back(split.name, std::vector<fs::path>{}).second;
      for (const std::string& pattern : split.patterns) {
        check(pattern.find("://") == std::string::npos && !pattern.starts_with('/'), ExitCode::data,
              (folder / file_name).string(), " names ", pattern,
              ", which does not lie below; download it, and give its path");
        const std::vector<fs::path> matching = files_matching(folder / config.folder, pattern);
        if (matching.empty()) missing_.emplace_back(split.name, pattern);
        for (const fs::path& file : matching)
          if (std::find(types.begin(), types.end(), extension_of(file.string())) != types.end())
            files.push_back(file);
      }
    }
  }

  std::vector<std::string> splits() const {
    std::vector<std::string> names;
    for (const auto& [split, files] : by_split_) names.push_back(split);
    return names;
  }
  bool any() const {
    return std::any_of(by_split_.begin(), by_split_.end(),
                       [](const auto& split) { return !split.second.empty(); });
  }
  // The files of one split, or of all for "", each once.
  std::vector<fs::path> of(const std::string& split) const {
    std::vector<fs::path> all;
    std::set<fs::path> seen;
    for (const auto& [name, files] : by_split_)
      for (const fs::path& file : files)
        if ((split.empty() || split == name) && seen.insert(file).second) all.push_back(file);
    return all;
  }
  // A pattern that finds no file; "" where each finds some.
  std::string missing(const std::string& split) const {
    for (const auto& [name, pattern] : missing_)
      if (split.empty() || split == name) return pattern;
    return "";
  }

 private:
  std::vector<std::pair<std::string, std::vector<fs::path>>> by_split_;
  std::vector<std::pair<std::string, std::string>> missing_;  // split, pattern
};

// The folder of the card that speaks for a path, its configurations, and which of them the path
// names; "" where it is the card's folder.
struct Card {
  fs::path folder;
  std::vector<CardConfig> configs;
  std::string named;
};

std::optional<Card> card_for(const fs::path& given) {
  const fs::path path = given.has_filename() ? given : given.parent_path();  // a/b/ is a/b
  if (is_folder(path))
    if (auto configs = read_card(path); !configs.empty()) return Card{path, std::move(configs), ""};
  if (is_file(path)) return std::nullopt;
  const std::string name = path.filename().string();
  const fs::path above = path.has_parent_path() ? path.parent_path() : fs::path(".");
  std::vector<CardConfig> configs = read_card(above);
  for (const CardConfig& config : configs)
    if (config.name == name) return Card{above, std::move(configs), name};
  return std::nullopt;
}

const CardConfig* chosen_of(const Card& card) {
  const CardConfig* chosen = nullptr;
  for (const CardConfig& config : card.configs) {
    const bool counts = card.named.empty() ? card.configs.size() == 1 || config.is_default ||
                                                 config.name == "default"
                                           : config.name == card.named;
    if (!counts) continue;
    check(!chosen, ExitCode::data, (card.folder / file_name).string(), " has two ",
          card.named.empty() ? "defaults" : "configurations called so", ", ", chosen->name, " and ",
          config.name, "; give the files of one as the path");
    chosen = &config;
  }
  return chosen;
}

}  // namespace

std::vector<fs::path> files_matching(const fs::path& folder, const std::string& pattern) {
  std::vector<std::string> segments;
  for (const fs::path& part : fs::path(pattern).lexically_normal())
    if (segments.empty() || part != "**" || segments.back() != "**")
      segments.push_back(part.string());
  std::vector<fs::path> found;
  if (!segments.empty()) match(folder, segments, 0, found);
  std::sort(found.begin(), found.end(),
            [](const fs::path& a, const fs::path& b) { return a.native() < b.native(); });
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

bool is_card_config(const fs::path& path) {
  const std::optional<Card> card = card_for(path);
  return card && !card->named.empty();
}

std::optional<Shards> shards_of_card(const std::string& path, const std::string& split,
                                     const std::vector<std::string>& types) {
  const std::optional<Card> card = card_for(path);
  if (!card) return std::nullopt;
  const std::string where = (card->folder / file_name).string();
  const CardConfig* const config = chosen_of(*card);
  if (!config) {
    std::vector<std::string> names;
    bool any = false;
    for (const CardConfig& one : card->configs) {
      names.push_back(one.name);
      any = any || CardFiles(card->folder, one, types).any();
    }
    if (!any) return std::nullopt;
    fail(ExitCode::data, where,
         " has several configurations and none is the default: ", list_of(names),
         "; give one of them as the path, e.g. ", (card->folder / names.front()).string());
  }
  std::string said;
  for (const CardConfig& other : card->configs)
    if (card->named.empty() && &other != config)
      said += (said.empty() ? config->name + ", not " : ", ") + other.name;
  if (config->splits.empty()) {
    if (config->folder.empty()) return std::nullopt;
    Shards shards = shards_of_split((card->folder / config->folder).string(), split, types);
    if (shards.paths.empty()) return std::nullopt;
    shards.card_config = said;
    return shards;
  }
  const CardFiles files(card->folder, *config, types);
  if (!files.any()) return std::nullopt;
  // As with names of files: where no split is called as one, all are for training.
  std::string chosen;
  if (const auto named = named_as_split(files.splits(), split))
    chosen = *named;
  else
    check(split == "train" && !named_as_split(files.splits(), "val"), ExitCode::data, where,
          " has no split for '", split, "', only ", list_of(files.splits()));
  Shards shards{files.of(chosen), /*named=*/true, {}, said};
  const std::string missing = files.missing(chosen);
  check(missing.empty() && !shards.paths.empty(), ExitCode::data, where, " names ",
        missing.empty() ? "files of other types" : missing, " for '", split,
        "', which is not there; an incomplete download?");
  const std::set<fs::path> taken(shards.paths.begin(), shards.paths.end());
  for (const fs::path& file : files.of(""))
    if (!taken.contains(file)) shards.beside.push_back(file.filename().string());
  return shards;
}

}  // namespace sgmae
