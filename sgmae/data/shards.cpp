#include "sgmae/data/shards.h"

#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/data/file_type.h"
#include "sgmae/data/files.h"
#include "sgmae/data/labels.h"
#include "sgmae/data/left_out.h"
#include "sgmae/data/split.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

// a{00..02}b{x,y} in full. Throws Error(usage) for braces that are no range.
std::vector<std::string> expand(const std::string& pattern) {
  constexpr std::int64_t most = 1'000'000;
  const std::size_t open = pattern.find('{');
  if (open == std::string::npos) return {pattern};
  const std::size_t close = pattern.find('}', open);
  check(close != std::string::npos, ExitCode::usage, "'", pattern, "' has a { without its }");
  const std::string inside = pattern.substr(open + 1, close - open - 1);
  std::vector<std::string> words;
  if (const std::size_t dots = inside.find(".."); dots != std::string::npos) {
    const std::string from = inside.substr(0, dots), to = inside.substr(dots + 2);
    const auto first = as_number(from), last = as_number(to);
    check(first && last && *first <= *last && *last - *first < most, ExitCode::usage, "'{", inside,
          "}' in ", pattern, " is not a range; write it like {000000..001281}");
    for (std::int64_t i = *first; i <= *last; ++i) {
      std::string number = std::to_string(i);
      if (number.size() < from.size()) number.insert(0, from.size() - number.size(), '0');
      words.push_back(std::move(number));
    }
  } else {
    for (std::size_t at = 0; at <= inside.size();) {
      const std::size_t comma = std::min(inside.find(',', at), inside.size());
      words.push_back(inside.substr(at, comma - at));
      at = comma + 1;
    }
  }
  std::vector<std::string> expanded;
  for (const std::string& rest : expand(pattern.substr(close + 1)))
    for (const std::string& word : words) {
      check(static_cast<std::int64_t>(expanded.size()) < most, ExitCode::usage, "'", pattern,
            "' names more than a million files");
      expanded.push_back(pattern.substr(0, open) + word + rest);
    }
  std::sort(expanded.begin(), expanded.end());
  return expanded;
}

// The files of a data set that `datasets` saved, in its order; nullopt where none was saved here.
// Beside them may lie those of an earlier save, and what map() and filter() left.
std::optional<std::vector<std::string>> saved_files(const fs::path& folder) {
  const fs::path file = folder / "state.json";
  if (!is_file(file)) return {};
  const auto state =
      nlohmann::json::parse(read_text(file, ExitCode::data), nullptr, /*allow_exceptions=*/false);
  check(!state.is_discarded(), ExitCode::data, file.string(),
        " is damaged; copy it again, or remove it to read all .arrow files beside it");
  if (!state.is_object() || !state.contains("_data_files")) return {};
  std::vector<std::string> names;
  for (const auto& entry : state["_data_files"]) {
    check(entry.is_object() && entry.contains("filename") && entry["filename"].is_string(),
          ExitCode::data, file.string(), " has an entry of _data_files without a filename");
    names.push_back(entry["filename"]);
    check(is_file(folder / names.back()), ExitCode::data, "there is no ",
          (folder / names.back()).string(), ", which ", file.string(),
          " names; copy it too, or save the data set again");
  }
  return names;
}

void list_beside(Shards& shards, const fs::path& folder, const std::vector<std::string>& names) {
  const std::set<fs::path> chosen(shards.paths.begin(), shards.paths.end());
  for (const std::string& name : names)
    if (!chosen.contains(folder / name)) shards.beside.push_back(name);
}

bool is_cache_of_datasets(const std::string& name) {
  return name.starts_with("cache-") && extension_of(name) == "arrow";
}

// What x-00001-of-00004.parquet says of itself.
struct Numbered {
  std::string series;  // what it has in common with the others
  std::int64_t number = 0, total = 0;
};

std::optional<Numbered> numbered(const std::string& name) {
  constexpr auto digits = "0123456789";
  constexpr std::size_t most_digits = 6;
  const std::string word = "-of-";
  const std::size_t of = name.rfind(word);
  if (of == std::string::npos || of == 0) return {};
  const std::size_t begin = name.find_last_not_of(digits, of - 1) + 1;  // npos + 1 is 0
  const std::size_t after = of + word.size();
  const std::size_t end = std::min(name.find_first_not_of(digits, after), name.size());
  const std::string number = name.substr(begin, of - begin),
                    total = name.substr(after, end - after);
  for (const std::string& digits_of : {number, total})
    if (digits_of.empty() || digits_of.size() > most_digits) return {};
  return Numbered{name.substr(0, begin) + word + total + extension_of(name), *as_number(number),
                  *as_number(total)};
}

}  // namespace

Shards shards_in(const fs::path& folder, const std::string& split,
                 const std::vector<std::string>& types) {
  std::vector<std::string> names;
  for (const auto& [name, is_a_folder] : list_folder(folder))
    // ILSVRC's dogs of task 3 are also in its training archive.
    if (!is_a_folder && std::find(types.begin(), types.end(), extension_of(name)) != types.end() &&
        !name.ends_with("img_train_t3.tar"))
      names.push_back(name);
  Shards shards;
  const bool arrow = std::any_of(names.begin(), names.end(), [](const std::string& name) {
    return extension_of(name) == "arrow";
  });
  if (const auto saved = arrow ? saved_files(folder) : std::nullopt) {
    shards.complete = true;
    if (split == "train")
      for (const std::string& name : *saved) shards.paths.push_back(folder / name);
    list_beside(shards, folder, names);
    return shards;
  }
  const std::vector<std::string> all = names;
  std::erase_if(names, is_cache_of_datasets);
  const auto saying = [&](const std::vector<std::string>& words) {
    Shards found;
    for (const std::string& word : words) {
      if (found.named) break;
      for (const std::string& name : names)
        if (says(name, word)) found.paths.push_back(folder / name);
      found.named = !found.paths.empty();
    }
    return found;
  };
  shards = saying(names_of_split(split));
  if (!shards.named && split == "train" && !saying(names_of_split("val")).named)
    for (const std::string& name : names) shards.paths.push_back(folder / name);
  list_beside(shards, folder, all);
  return shards;
}

Shards shards_of_split(const std::string& path, const std::string& split,
                       const std::vector<std::string>& types) {
  if (is_folder(path)) {
    if (const auto part = Parts(path).part(split)) {
      Shards shards = shards_in(*part, split, types);
      if (shards.paths.empty()) shards = shards_in(*part, "train", types);
      shards.named |= !shards.paths.empty();
      return shards;
    }
    return shards_in(path, split, types);
  }
  if (split != "train") return shards_in(fs::path(path).parent_path(), split, types);
  Shards shards;
  shards.complete = true;
  for (const std::string& shard : expand(path)) shards.paths.emplace_back(shard);
  return shards;
}

std::vector<LeftOut> missing_shards(const Shards& shards) {
  std::vector<LeftOut> left_out;
  if (shards.complete) return left_out;
  std::map<fs::path, std::set<std::string>> chosen;  // names by folder
  for (const fs::path& path : shards.paths)
    chosen[path.parent_path()].insert(path.filename().string());
  for (const auto& [folder, names] : chosen) {
    std::map<std::string, std::set<std::int64_t>> there;  // numbers by series
    for (const auto& [name, is_a_folder] : list_folder(folder))
      if (const auto shard = numbered(name); shard && !is_a_folder)
        there[shard->series].insert(shard->number);
    for (const std::string& name : names) {
      const auto shard = numbered(name);
      const auto numbers = shard ? there.extract(shard->series) : decltype(there)::node_type();
      if (numbers.empty()) continue;  // counted by an earlier one
      const auto here = static_cast<std::int64_t>(numbers.mapped().size());
      if (here < shard->total)
        add_left_out(left_out, "shards that are not there", LeftOut::Weight::lost,
                     str("of ", shard->total, " like ", (folder / name).string(), " only ", here),
                     shard->total - here);
    }
  }
  return left_out;
}

FileStamp stamp_of(const fs::path& shard) {
  struct stat status {};
  check(::stat(shard.c_str(), &status) == 0 && S_ISREG(status.st_mode), ExitCode::data,
        "there is no shard ", shard.string(), "; download it, or name only the shards that exist");
  return {
      static_cast<std::uint64_t>(status.st_size),
      static_cast<std::int64_t>(status.st_mtim.tv_sec) * 1'000'000'000 + status.st_mtim.tv_nsec};
}

std::shared_ptr<const RandomAccessFile> OpenFiles::get(std::size_t i, const fs::path& path) {
  const std::lock_guard lock(mutex_);
  if (!files_[i]) {
    constexpr std::size_t most = 128;
    files_[i] = std::make_shared<RandomAccessFile>(path);
    order_.push_back(i);
    if (order_.size() > most) {
      files_[order_.front()].reset();
      order_.pop_front();
    }
  }
  return files_[i];
}

}  // namespace sgmae
