// Internal to data/: data sets in several files, whose names say which split they are for, and
// whose images are read in place.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "sgmae/base/file.h"
#include "sgmae/data/source.h"

namespace sgmae {

struct Shards {
  std::vector<std::filesystem::path> paths;
  bool named = false;               // their names, or their folder's, say what they are for
  std::vector<std::string> beside;  // names of other shards there
  std::string card_config;  // by default, and which others there are (hub_card.h): "a, not b, c"
  bool complete = false;    // named one by one, by the user or by state.json
};

// Those of a split. `path` is one file, a folder, or a pattern such as name-{0000..0012}.tar; of a
// folder's files those count that have one of the extensions `types`.
Shards shards_of_split(const std::string& path, const std::string& split,
                       const std::vector<std::string>& types);
// Those that lie in a folder itself. Where no name says what it is for, all are for training; of a
// data set that `datasets` saved, those that its state.json names. Throws Error(data) where one of
// these is missing.
Shards shards_in(const std::filesystem::path& folder, const std::string& split,
                 const std::vector<std::string>& types);

// Counts those that the names of others say there are (x-00000-of-00004), unless they are
// complete.
std::vector<LeftOut> missing_shards(const Shards& shards);

// Tells whether a file is the one that was looked at before.
struct FileStamp {
  std::uint64_t size = 0;
  std::int64_t changed = 0;  // nanoseconds since 1970
  bool operator==(const FileStamp&) const = default;
};
// Throws Error(data) where there is no such file.
FileStamp stamp_of(const std::filesystem::path& shard);

// Shards held open, the longest open closed first: a process may not hold a thousand.
class OpenFiles {
 public:
  explicit OpenFiles(std::size_t count) : files_(count) {}

  std::shared_ptr<const RandomAccessFile> get(std::size_t i, const std::filesystem::path& path);

 private:
  std::mutex mutex_;
  std::vector<std::shared_ptr<const RandomAccessFile>> files_;
  std::deque<std::size_t> order_;  // in which they were opened
};

}  // namespace sgmae
