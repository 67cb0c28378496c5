// Images in tar archives, read in place: WebDataset shards, ILSVRC's tar of tars, plain tars.
//
// Tar has no table of contents. Each archive is walked once, header by header, and what was found
// is kept in an index, so that any image can be read at once and shuffling is exact.
#include <algorithm>
#include <atomic>
#include <cctype>
#include <deque>
#include <exception>
#include <filesystem>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <sys/stat.h>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/base/log.h"
#include "sgmae/data/bytes.h"
#include "sgmae/data/cache.h"
#include "sgmae/data/files.h"
#include "sgmae/data/formats.h"
#include "sgmae/data/tar.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

struct Sample {
  std::string name, word;  // in the archive; class as the archive gives it, or ""
  std::uint64_t offset = 0, size = 0;
};

struct Shard {
  std::uint64_t size = 0;
  std::int64_t changed = 0;  // nanoseconds since 1970
  std::vector<Sample> samples;
};

// WebDataset's rule: files of one sample share the path up to the first dot of the file name.
std::string_view key_of(std::string_view name) {
  const std::size_t slash = name.rfind('/');
  return name.substr(0, name.find('.', slash == std::string_view::npos ? 0 : slash + 1));
}

std::string trimmed(const std::string& text) {
  constexpr const char* blanks = " \t\r\n";
  const std::size_t first = text.find_first_not_of(blanks);
  return first == std::string::npos ? ""
                                    : text.substr(first, text.find_last_not_of(blanks) + 1 - first);
}

// The class that a JSON file names, or "".
std::string json_word(const std::string& text) {
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return "";
  for (const char* key : {"label", "cls", "class"}) {
    const auto found = json.find(key);
    if (found == json.end()) continue;
    if (found->is_number_integer()) return std::to_string(found->get<std::int64_t>());
    if (found->is_string()) return found->get<std::string>();
  }
  return "";
}

std::string folder_word(const std::string& name) {
  const std::string folder = fs::path(name).parent_path().filename().string();
  return folder == "." || folder == ".." ? "" : folder;
}

// The images of an archive, and of archives in it. A class is, best first: what a .cls or .json
// file of the sample says; the inner archive's name; the folder an image lies in.
std::vector<Sample> scan_tar(const RandomAccessFile& file) {
  constexpr std::uint64_t largest_label = 1 << 20;
  const auto read = [&](std::uint64_t offset, std::span<std::uint8_t> out) {
    file.read(offset, out);
  };
  std::vector<Sample> images;
  std::map<std::string, std::string, std::less<>> words;  // by key
  const auto add_image = [&](const TarEntry& entry, const std::string& word) {
    // macOS puts its own files beside each: ._name.
    if (has_image_extension(entry.name) &&
        !fs::path(entry.name).filename().string().starts_with('.'))
      images.push_back({entry.name, word, entry.offset, entry.size});
  };
  read_tar(read, 0, file.size(), [&](const TarEntry& entry) {
    const std::string& name = entry.name;
    if (name.ends_with(".tar")) {
      const std::string word = fs::path(name).stem().string();
      read_tar(read, entry.offset, entry.offset + entry.size, [&](const TarEntry& inner) {
        add_image({name + "/" + inner.name, inner.offset, inner.size}, word);
      });
    } else if ((name.ends_with(".cls") || name.ends_with(".json")) && entry.size <= largest_label) {
      std::string text(static_cast<std::size_t>(entry.size), '\0');
      read(entry.offset, {reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
      const bool cls = name.ends_with(".cls");
      const std::string word = cls ? trimmed(text) : json_word(text);
      std::string& known = words[std::string(key_of(name))];
      if (cls || known.empty()) known = word;
    } else {
      add_image(entry, folder_word(name));
    }
  });
  std::erase_if(words, [](const auto& entry) { return entry.second.empty(); });
  if (words.empty()) return images;
  // A labelled sample may hold further pictures, such as masks; its first one counts.
  std::vector<Sample> samples;
  std::set<std::string_view> used;
  for (Sample& image : images) {
    const auto found = words.find(key_of(image.name));
    if (found == words.end()) {
      image.word.clear();
    } else {
      if (!used.insert(found->first).second) continue;
      image.word = found->second;
    }
    samples.push_back(std::move(image));
  }
  return samples;
}

Shard stamp_of(const fs::path& path) {
  struct stat status {};
  check(::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode), ExitCode::data,
        "there is no shard ", path.string(), "; fetch it, or name the shards that are there");
  return {static_cast<std::uint64_t>(status.st_size),
          static_cast<std::int64_t>(status.st_mtim.tv_sec) * 1'000'000'000 + status.st_mtim.tv_nsec,
          {}};
}

CachePlace place_of(const fs::path& first_shard) {
  return {.about = first_shard, .kind = "sgindex", .version = 1, .beside = true};
}

using ShardIndex = std::map<std::string, Shard>;  // by file name

ShardIndex read_index(const fs::path& first_shard) {
  ShardIndex index;
  const auto bytes = read_cache(place_of(first_shard));
  if (!bytes) return index;
  try {
    ByteReader reader(*bytes);
    for (std::size_t shards = reader.count(28); shards > 0; --shards) {
      Shard& shard = index[reader.text()];
      shard.size = reader.number<std::uint64_t>();
      shard.changed = reader.number<std::int64_t>();
      for (std::size_t samples = reader.count(24); samples > 0; --samples) {
        Sample sample;
        sample.name = reader.text();
        sample.word = reader.text();
        sample.offset = reader.number<std::uint64_t>();
        sample.size = reader.number<std::uint64_t>();
        shard.samples.push_back(std::move(sample));
      }
    }
  } catch (const Error&) {
    index.clear();
  }
  return index;
}

void keep_index(const std::vector<fs::path>& paths, const std::vector<Shard>& shards) {
  ByteWriter writer;
  writer.count(shards.size());
  for (std::size_t i = 0; i < shards.size(); ++i) {
    writer.text(paths[i].filename().string());
    writer.number(shards[i].size);
    writer.number(shards[i].changed);
    writer.count(shards[i].samples.size());
    for (const Sample& sample : shards[i].samples) {
      writer.text(sample.name);
      writer.text(sample.word);
      writer.number(sample.offset);
      writer.number(sample.size);
    }
  }
  write_cache(place_of(paths.front()), writer.bytes());
}

// Walks shards[i] of paths[i] for each i of `missing`, on several threads: the walk waits for the
// disk more than it computes.
void scan_shards(const std::vector<fs::path>& paths, const std::vector<std::size_t>& missing,
                 std::vector<Shard>& shards) {
  std::uint64_t bytes = 0;
  for (const std::size_t i : missing) bytes += shards[i].size;
  constexpr std::uint64_t worth_a_word = std::uint64_t{1} << 30;
  if (bytes >= worth_a_word)
    info("indexing ", missing.size(), " tar file(s), once; the index is kept for later runs");
  std::atomic<std::size_t> next{0}, done{0};
  std::mutex mutex;
  std::exception_ptr error;
  const auto work = [&] {
    for (std::size_t k = next++; k < missing.size(); k = next++) {
      const fs::path& path = paths[missing[k]];
      try {
        shards[missing[k]].samples = scan_tar(RandomAccessFile(path));
      } catch (const Error& why) {
        const std::string text = why.what();
        const std::lock_guard lock(mutex);
        error = std::make_exception_ptr(
            Error(why.code(), text.find(path.string()) != std::string::npos
                                  ? text
                                  : path.string() + ": " + text + "; fetch it again"));
        next = missing.size();
      } catch (...) {
        const std::lock_guard lock(mutex);
        error = std::current_exception();
        next = missing.size();
      }
      const std::lock_guard lock(mutex);
      draw_status(str("indexing: ", ++done, " of ", missing.size(), " tar files"));
    }
  };
  constexpr std::size_t most_threads = 8;
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < std::min(most_threads, missing.size()); ++i)
    threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  draw_status("");
  if (error) std::rethrow_exception(error);
}

// Archives held open, the longest unused closed first: a process may not hold a thousand.
class OpenFiles {
 public:
  explicit OpenFiles(std::size_t count) : files_(count) {}

  std::shared_ptr<const RandomAccessFile> get(std::size_t i, const fs::path& path) {
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

 private:
  std::mutex mutex_;
  std::vector<std::shared_ptr<const RandomAccessFile>> files_;
  std::deque<std::size_t> order_;  // in which they were opened
};

class TarSource : public Source {
 public:
  TarSource(std::vector<fs::path> paths, std::vector<Shard> shards, Labels labels)
      : paths_(std::move(paths)), files_(paths_.size()) {
    for (std::size_t i = 0; i < shards.size(); ++i)
      for (Sample& sample : shards[i].samples)
        entries_.push_back({std::move(sample.name), i, sample.offset, sample.size});
    labels_ = std::move(labels.labels);
    class_names_ = std::move(labels.class_names);
    SGMAE_ASSERT(labels_.size() == entries_.size());
  }

  std::int64_t size() const override { return static_cast<std::int64_t>(entries_.size()); }
  std::string name(std::int64_t index) const override {
    const Entry& entry = entries_[static_cast<std::size_t>(index)];
    return paths_[entry.shard].string() + "/" + entry.name;
  }
  int native_channels() const override { return 3; }
  void open(std::int64_t index, OpenedImage& opened) const override {
    const Entry& entry = entries_[static_cast<std::size_t>(index)];
    check(entry.size <= max_image_bytes, ExitCode::data, "an image file of ", entry.size, " bytes");
    opened.raw = {};
    opened.bytes.resize(static_cast<std::size_t>(entry.size));
    files_.get(entry.shard, paths_[entry.shard])->read(entry.offset, opened.bytes);
    opened.info = read_image_info(opened.bytes);
    opened.size = opened.info.size;
  }

 protected:
  std::int64_t content_mark(std::int64_t index) const override {
    return static_cast<std::int64_t>(entries_[static_cast<std::size_t>(index)].size);
  }

 private:
  struct Entry {
    std::string name;
    std::size_t shard;
    std::uint64_t offset, size;
  };
  std::vector<fs::path> paths_;
  std::vector<Entry> entries_;
  mutable OpenFiles files_;
};

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
          "}' in ", pattern, " is no range; write it like {000000..001281}");
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

// Whether a file name says `word`, not as a part of a longer one.
bool says(std::string_view name, std::string_view word) {
  const auto letter = [&](std::size_t i) {
    return i < name.size() && std::isalpha(static_cast<unsigned char>(name[i]));
  };
  for (std::size_t at = 0; (at = name.find(word, at)) != std::string_view::npos; ++at)
    if ((at == 0 || !letter(at - 1)) && !letter(at + word.size())) return true;
  return false;
}

// The archives of a split by their names. Where no name says what it is for, all are for training.
std::vector<fs::path> shards_in(const fs::path& folder, const std::string& split) {
  std::vector<std::string> names;
  for (const auto& [name, is_a_folder] : list_folder(folder))
    // ILSVRC's dogs of task 3 are also in its training archive.
    if (!is_a_folder && name.ends_with(".tar") && !name.ends_with("img_train_t3.tar"))
      names.push_back(name);
  const auto saying = [&](const std::string& word) {
    std::vector<fs::path> paths;
    for (const std::string& name : names)
      if (says(name, word)) paths.push_back(folder / name);
    return paths;
  };
  for (const std::string& word : names_of_split(split))
    if (auto paths = saying(word); !paths.empty()) return paths;
  if (split != "train") return {};
  for (const char* word : {"val", "valid", "validation", "test"})
    if (!saying(word).empty()) return {};
  std::vector<fs::path> paths;
  for (const std::string& name : names) paths.push_back(folder / name);
  return paths;
}

// Labels of an archive without any, from a list beside it (ILSVRC's val.txt: "NAME LABEL" a line).
// A number counts the classes of the training archives, where those lie in the same folder.
Labels labels_from_list(const std::vector<std::string>& names, const fs::path& list,
                        const fs::path& folder) {
  std::map<std::string, std::string> word_of;
  const std::string text = read_text(list, ExitCode::data);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = trimmed(text.substr(at, end - at));
    at = end + 1;
    if (const std::size_t blank = line.find_last_of(" \t"); blank != std::string::npos)
      word_of[fs::path(trimmed(line.substr(0, blank))).filename().string()] =
          line.substr(blank + 1);
  }
  std::vector<std::string> words;
  for (const std::string& name : names)
    words.push_back(word_of[fs::path(name).filename().string()]);
  Labels labels = number_by_word(words, list.string());
  const bool numbers = !labels.class_names.empty() && as_number(labels.class_names.back());
  if (const auto training = shards_in(folder, "train"); numbers && !training.empty()) {
    const auto classes = open_tars(training, "train")->class_names();
    if (classes.size() >= labels.class_names.size()) labels.class_names = classes;
  }
  return labels;
}

}  // namespace

std::vector<fs::path> find_shards(const std::string& path, const std::string& split) {
  if (is_folder(path)) {
    for (const std::string& name : names_of_split(split))
      if (const fs::path part = fs::path(path) / name; is_folder(part)) {
        auto shards = shards_in(part, split);
        return shards.empty() ? shards_in(part, "train") : shards;
      }
    return shards_in(path, split);
  }
  if (split != "train") return shards_in(fs::path(path).parent_path(), split);
  std::vector<fs::path> shards;
  for (const std::string& shard : expand(path)) shards.emplace_back(shard);
  return shards;
}

std::unique_ptr<Source> open_tars(const std::vector<fs::path>& paths, const std::string& split) {
  SGMAE_ASSERT(!paths.empty());
  ShardIndex known = read_index(paths.front());
  std::vector<Shard> shards;
  std::vector<std::size_t> missing;
  for (const fs::path& path : paths) {
    shards.push_back(stamp_of(path));
    const auto found = known.find(path.filename().string());
    if (found != known.end() && found->second.size == shards.back().size &&
        found->second.changed == shards.back().changed)
      shards.back().samples = std::move(found->second.samples);
    else
      missing.push_back(shards.size() - 1);
  }
  known.clear();
  if (!missing.empty()) {
    scan_shards(paths, missing, shards);
    keep_index(paths, shards);
  }

  std::vector<std::string> names, words;
  bool labelled = false;
  for (Shard& shard : shards)
    for (Sample& sample : shard.samples) {
      labelled |= !sample.word.empty();
      names.push_back(sample.name);
      words.push_back(std::move(sample.word));
    }
  check(!names.empty(), ExitCode::data, "no image in ", paths.front().string(),
        paths.size() > 1 ? " and the other shards" : "",
        "; expected .jpg, .jpeg, .png or .webp files in it");
  const fs::path folder = paths.front().parent_path();
  Labels labels;
  fs::path list;
  for (const std::string& name : names_of_split(split))
    if (list.empty() && is_file(folder / (name + ".txt"))) list = folder / (name + ".txt");
  if (labelled || list.empty())
    labels = number_by_word(words, paths.front().string());
  else
    labels = labels_from_list(names, list, folder);
  return std::make_unique<TarSource>(paths, std::move(shards), std::move(labels));
}

}  // namespace sgmae
