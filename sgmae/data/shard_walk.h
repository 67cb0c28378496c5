// Internal to data/: shards are walked once, and what was found in them is kept in an index beside
// the first of them.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/base/log.h"
#include "sgmae/base/progress.h"
#include "sgmae/data/bytes.h"
#include "sgmae/data/cache.h"
#include "sgmae/data/parallel.h"
#include "sgmae/data/shards.h"
#include "sgmae/data/source.h"

namespace sgmae {

// How shards of a kind are walked. A `Shard` has the member `FileStamp stamp`.
template <class Shard>
struct ShardWalk {
  std::string what;  // "tar files", for people
  std::int64_t most_threads = 1;
  std::function<void(const std::filesystem::path&, Shard&)> scan;  // throws Error, naming the file
  std::size_t least_bytes = 1;  // that what write() says of a shard takes
  std::function<void(ByteWriter&, const Shard&)> write;
  std::function<void(ByteReader&, Shard&)> read;  // throws Error for damaged ones
};

inline CachePlace shard_index_place(const std::filesystem::path& first_shard) {
  return {.about = first_shard, .kind = "sgindex", .version = 2, .beside = true};
}

// By file name; empty where there is no index, or one of another choice of keys.
template <class Shard>
std::map<std::string, Shard> read_shard_index(const std::filesystem::path& first_shard,
                                              const DataFormat& format,
                                              const ShardWalk<Shard>& walk) {
  std::map<std::string, Shard> index;
  const auto bytes = read_cache(shard_index_place(first_shard));
  if (!bytes) return index;
  try {
    ByteReader reader(*bytes);
    if (reader.text() != format.image_key || reader.text() != format.label_key) return index;
    constexpr std::size_t name_and_stamp = 20;
    for (std::size_t left = reader.count(name_and_stamp + walk.least_bytes); left > 0; --left) {
      Shard& shard = index[reader.text()];
      shard.stamp.size = reader.number<std::uint64_t>();
      shard.stamp.changed = reader.number<std::int64_t>();
      walk.read(reader, shard);
    }
  } catch (const Error&) {
    index.clear();
  }
  return index;
}

template <class Shard>
void keep_shard_index(const std::vector<std::filesystem::path>& paths,
                      const std::vector<Shard>& shards, const DataFormat& format,
                      const ShardWalk<Shard>& walk) {
  ByteWriter writer;
  writer.text(format.image_key);
  writer.text(format.label_key);
  writer.count(shards.size());
  for (std::size_t i = 0; i < shards.size(); ++i) {
    writer.text(paths[i].filename().string());
    writer.number(shards[i].stamp.size);
    writer.number(shards[i].stamp.changed);
    walk.write(writer, shards[i]);
  }
  write_cache(shard_index_place(paths.front()), writer.bytes());
}

// What is in the shards: by the index where they are as they were, else walked, on several threads,
// since that waits for the disk more than it computes.
template <class Shard>
std::vector<Shard> walk_shards(const std::vector<std::filesystem::path>& paths,
                               const DataFormat& format, const ShardWalk<Shard>& walk) {
  std::map<std::string, Shard> known = read_shard_index(paths.front(), format, walk);
  std::vector<Shard> shards;
  std::vector<std::size_t> missing;
  std::uint64_t bytes = 0;
  for (const std::filesystem::path& path : paths) {
    Shard& shard = shards.emplace_back();
    shard.stamp = stamp_of(path);
    const auto found = known.find(path.filename().string());
    if (found != known.end() && found->second.stamp == shard.stamp) {
      shard = std::move(found->second);
    } else {
      missing.push_back(shards.size() - 1);
      bytes += shard.stamp.size;
    }
  }
  if (missing.empty()) return shards;
  constexpr std::uint64_t worth_a_word = std::uint64_t{1} << 30;
  if (bytes >= worth_a_word)
    info("indexing ", missing.size(), " ", walk.what, ", once; the index is kept for later runs");
  std::atomic<std::int64_t> done{0};
  Progress progress(walk.what + " indexed", static_cast<std::int64_t>(missing.size()));
  in_parallel(static_cast<std::int64_t>(missing.size()), 1, walk.most_threads, [&] {
    return [&](std::int64_t k, std::int64_t) {
      const std::size_t i = missing[static_cast<std::size_t>(k)];
      walk.scan(paths[i], shards[i]);
      progress.show(++done);
    };
  });
  keep_shard_index(paths, shards, format, walk);
  return shards;
}

}  // namespace sgmae
