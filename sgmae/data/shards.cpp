#include "sgmae/data/shards.h"

#include <sys/stat.h>

#include <algorithm>
#include <set>

#include "sgmae/base/error.h"
#include "sgmae/data/file_type.h"
#include "sgmae/data/files.h"
#include "sgmae/data/labels.h"
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

}  // namespace

Shards shards_in(const fs::path& folder, const std::string& split,
                 const std::vector<std::string>& types) {
  std::vector<std::string> names;
  for (const auto& [name, is_a_folder] : list_folder(folder))
    // ILSVRC's dogs of task 3 are also in its training archive.
    if (!is_a_folder && std::find(types.begin(), types.end(), extension_of(name)) != types.end() &&
        !name.ends_with("img_train_t3.tar"))
      names.push_back(name);
  const auto saying = [&](const std::vector<std::string>& words) {
    Shards shards;
    for (const std::string& word : words) {
      if (shards.named) break;
      for (const std::string& name : names)
        if (says(name, word)) shards.paths.push_back(folder / name);
      shards.named = !shards.paths.empty();
    }
    return shards;
  };
  Shards shards = saying(names_of_split(split));
  if (!shards.named && split == "train" && !saying(names_of_split("val")).named)
    for (const std::string& name : names) shards.paths.push_back(folder / name);
  const std::set<fs::path> chosen(shards.paths.begin(), shards.paths.end());
  for (const std::string& name : names)
    if (!chosen.contains(folder / name)) shards.beside.push_back(name);
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
  for (const std::string& shard : expand(path)) shards.paths.emplace_back(shard);
  return shards;
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
