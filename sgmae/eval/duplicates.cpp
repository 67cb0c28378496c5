#include "sgmae/eval/duplicates.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

#include "sgmae/base/error.h"
#include "sgmae/base/progress.h"
#include "sgmae/data/bytes.h"
#include "sgmae/data/parallel.h"

namespace sgmae {
namespace {

using Groups = std::vector<std::vector<std::int64_t>>;

// Those of two or more; the map's keys do not count.
template <class Key>
Groups sorted_groups(std::map<Key, std::vector<std::int64_t>> by_key) {
  Groups groups;
  for (auto& [unused, group] : by_key) {
    std::sort(group.begin(), group.end());
    if (group.size() > 1) groups.push_back(std::move(group));
  }
  std::sort(groups.begin(), groups.end());
  return groups;
}

// Checksum and length of what a source has of an image.
std::pair<std::uint64_t, std::uint64_t> mark_of(const OpenedImage& opened) {
  Hash64 hash;
  if (!opened.raw.data) {
    hash.add(opened.bytes);
    return {hash.value(), opened.bytes.size()};
  }
  const ImageView& raw = opened.raw;
  hash.add(std::int64_t{raw.width});
  const auto row_bytes =
      static_cast<std::size_t>(raw.width) * static_cast<std::size_t>(raw.channels);
  for (int y = 0; y < raw.height; ++y) hash.add({raw.row(y), row_bytes});
  return {hash.value(), row_bytes * static_cast<std::size_t>(raw.height)};
}

}  // namespace

Groups equal_images(const Source& source, int threads) {
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::vector<std::int64_t>> by_mark;
  std::mutex mutex;  // guards by_mark and done
  std::int64_t done = 0;
  Progress progress("checksums", source.size());
  in_parallel(source.size(), 64, threads, [&] {
    return [&, opened = OpenedImage()](std::int64_t begin, std::int64_t end) mutable {
      for (std::int64_t i = begin; i < end; ++i) {
        try {
          source.open(i, opened);
        } catch (const Error&) {
          continue;
        }
        const auto mark = mark_of(opened);
        const std::lock_guard lock(mutex);
        by_mark[mark].push_back(i);
      }
      const std::lock_guard lock(mutex);
      progress.show(done += end - begin);
    };
  });
  return sorted_groups(std::move(by_mark));
}

Groups joined_groups(const Groups& a, const Groups& b) {
  std::map<std::int64_t, std::int64_t> parent;
  const auto root = [&](std::int64_t i) {
    parent.emplace(i, i);
    while (parent[i] != i) i = parent[i] = parent[parent[i]];
    return i;
  };
  for (const Groups* groups : {&a, &b})
    for (const auto& group : *groups)
      for (const std::int64_t member : group) parent[root(member)] = root(group.front());
  std::map<std::int64_t, std::vector<std::int64_t>> by_root;
  for (const auto& [member, unused] : std::map(parent)) by_root[root(member)].push_back(member);
  return sorted_groups(std::move(by_root));
}

}  // namespace sgmae
