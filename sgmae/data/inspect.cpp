#include "sgmae/data/inspect.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <mutex>
#include <utility>

#include "sgmae/base/error.h"
#include "sgmae/base/progress.h"
#include "sgmae/data/bytes.h"
#include "sgmae/data/normalisation_file.h"
#include "sgmae/data/parallel.h"

namespace sgmae {
namespace {

const char* format_name(const OpenedImage& opened) {
  if (opened.raw.data) return "raw";
  return opened.array ? "numpy" : name_of(opened.info.format);
}

// What one thread found. Sums of whole numbers, so that the result does not depend on who found
// what.
struct Found {
  std::uint64_t bytes = 0, pixels = 0;
  std::array<std::uint64_t, 3> sum{}, square_sum{};
  std::map<std::int64_t, ChannelSums> stored;  // of values as stored, by the first of their images
  std::vector<int> widths, heights;
  std::map<std::string, std::int64_t> formats;
  std::map<int, std::int64_t> channels;
  std::vector<std::pair<std::int64_t, std::string>> unreadable;
  std::vector<std::pair<std::uint64_t, std::int64_t>> contents;  // hash of the pixels, image

  void add(const Found& other) {
    bytes += other.bytes;
    pixels += other.pixels;
    for (std::size_t c = 0; c < 3; ++c) {
      sum[c] += other.sum[c];
      square_sum[c] += other.square_sum[c];
    }
    stored.insert(other.stored.begin(), other.stored.end());
    widths.insert(widths.end(), other.widths.begin(), other.widths.end());
    heights.insert(heights.end(), other.heights.begin(), other.heights.end());
    for (const auto& [name, count] : other.formats) formats[name] += count;
    for (const auto& [number, count] : other.channels) channels[number] += count;
    unreadable.insert(unreadable.end(), other.unreadable.begin(), other.unreadable.end());
    contents.insert(contents.end(), other.contents.begin(), other.contents.end());
  }
};

// What one thread works with.
struct Looker {
  OpenedImage opened;
  Image buffer;
  Bands bands;
};

void look_at(const Source& source, std::int64_t index, Looker& looker, ChannelSums& sums,
             Found& found) {
  OpenedImage& opened = looker.opened;
  ImageView pixels;
  try {
    source.open(index, opened);
    if (source.stored_values())
      decode_bands(opened, whole(opened.size), source.native_channels(), looker.bands);
    else
      pixels = decode(opened, whole(opened.size), 3, looker.buffer);
  } catch (const Error& error) {
    found.unreadable.emplace_back(index, error.what());
    return;
  }
  found.widths.push_back(opened.size.width);
  found.heights.push_back(opened.size.height);
  ++found.formats[format_name(opened)];
  ++found.channels[opened.raw.data ? opened.raw.channels
                   : opened.array  ? opened.array->channels
                                   : opened.info.channels];
  if (source.stored_values()) {
    found.bytes += opened.bytes.size();
    sums.add(looker.bands, *source.stored_values());
    Hash64 hash;
    hash.add(std::int64_t{opened.size.width});
    hash.add({reinterpret_cast<const std::uint8_t*>(looker.bands.values.data()),
              looker.bands.values.size() * sizeof(float)});
    found.contents.emplace_back(hash.value(), index);
    return;
  }
  const auto count =
      static_cast<std::uint64_t>(pixels.width) * static_cast<std::uint64_t>(pixels.height);
  found.bytes += opened.raw.data ? count * static_cast<std::uint64_t>(opened.raw.channels)
                                 : opened.bytes.size();
  found.pixels += count;
  Hash64 hash;
  hash.add(std::int64_t{pixels.width});
  for (int y = 0; y < pixels.height; ++y) {
    const std::uint8_t* row = pixels.row(y);
    hash.add({row, static_cast<std::size_t>(pixels.width) * 3});
    std::array<std::uint64_t, 3> sum{}, square_sum{};
    for (int x = 0; x < pixels.width; ++x)
      for (std::size_t c = 0; c < 3; ++c) {
        const std::uint32_t value = *row++;
        sum[c] += value;
        square_sum[c] += value * value;
      }
    for (std::size_t c = 0; c < 3; ++c) {
      found.sum[c] += sum[c];
      found.square_sum[c] += square_sum[c];
    }
  }
  found.contents.emplace_back(hash.value(), index);
}

DataStats::Range range_of(std::vector<int>& values) {
  if (values.empty()) return {};
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  const auto [smallest, largest] = std::minmax_element(values.begin(), values.end());
  return {*smallest, *middle, *largest};
}

}  // namespace

DataStats inspect_data(const Source& source, int threads) {
  const std::int64_t total = source.size();
  std::int64_t done = 0;
  Found found;
  std::mutex mutex;  // guards `done` and `found`
  Progress progress("images", total);
  constexpr std::int64_t share = 16;
  in_parallel(total, share, threads, [&] {
    return [&, looker = Looker()](std::int64_t begin, std::int64_t end) mutable {
      Found own;
      ChannelSums sums;
      for (std::int64_t i = begin; i < end; ++i) look_at(source, i, looker, sums, own);
      if (!sums.count.empty()) own.stored[begin] = std::move(sums);
      const std::lock_guard lock(mutex);
      found.add(own);
      done += end - begin;
      progress.show(done);
    };
  });

  DataStats stats;
  stats.images = total;
  stats.bytes = found.bytes;
  stats.width = range_of(found.widths);
  stats.height = range_of(found.heights);
  stats.formats = std::move(found.formats);
  stats.channels = std::move(found.channels);
  for (std::size_t c = 0; c < 3 && found.pixels > 0; ++c) {
    const double count = static_cast<double>(found.pixels);
    const double mean = static_cast<double>(found.sum[c]) / count;
    const double variance = static_cast<double>(found.square_sum[c]) / count - mean * mean;
    stats.mean.push_back(mean / 255);
    stats.std.push_back(std::sqrt(std::max(variance, 0.0)) / 255);
  }
  ChannelSums all;
  for (const auto& [begin, sums] : found.stored) all.add(sums);
  for (std::size_t c = 0; c < all.count.size(); ++c) {
    stats.mean.push_back(all.mean(c));
    stats.std.push_back(all.deviation(c));
  }
  stats.counted = std::move(all.count);
  stats.lowest = std::move(all.lowest);
  stats.highest = std::move(all.highest);
  std::sort(found.unreadable.begin(), found.unreadable.end());
  for (auto& [index, reason] : found.unreadable)
    stats.unreadable.push_back({source.name(index), std::move(reason)});
  stats.class_names = source.class_names();
  stats.per_class.resize(stats.class_names.size());
  for (const std::int64_t label : source.labels()) {
    if (label >= 0 && label < static_cast<std::int64_t>(stats.per_class.size()))
      ++stats.per_class[static_cast<std::size_t>(label)];
    else
      ++stats.unlabelled;
  }

  std::sort(found.contents.begin(), found.contents.end());
  for (auto at = found.contents.begin(); at != found.contents.end();) {
    const auto end = std::find_if(at, found.contents.end(),
                                  [&](const auto& other) { return other.first != at->first; });
    if (end - at > 1) {
      std::vector<std::int64_t>& group = stats.duplicates.emplace_back();
      for (; at != end; ++at) group.push_back(at->second);
      stats.conflicting += std::any_of(group.begin(), group.end(), [&](std::int64_t i) {
        return source.label(i) != source.label(group.front());
      });
    }
    at = end;
  }
  std::sort(stats.duplicates.begin(), stats.duplicates.end());
  return stats;
}

nlohmann::ordered_json to_json(const std::vector<LeftOut>& left_out) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const LeftOut& entry : left_out)
    list.push_back({{"reason", entry.reason},
                    {"count", entry.count},
                    {"example", entry.example},
                    {"lost", entry.weight == LeftOut::Weight::lost}});
  return list;
}

nlohmann::ordered_json to_json(const DataStats& stats, const Source& source) {
  using nlohmann::ordered_json;
  constexpr std::size_t most_named = 100;
  const auto range = [](const DataStats::Range& r) {
    return ordered_json{{"min", r.smallest}, {"median", r.median}, {"max", r.largest}};
  };
  ordered_json unreadable = ordered_json::array(), duplicates = ordered_json::array();
  for (std::size_t i = 0; i < std::min(most_named, stats.unreadable.size()); ++i)
    unreadable.push_back(
        {{"name", stats.unreadable[i].name}, {"reason", stats.unreadable[i].reason}});
  std::int64_t surplus = 0;
  for (const auto& group : stats.duplicates) {
    surplus += static_cast<std::int64_t>(group.size()) - 1;
    if (duplicates.size() >= most_named) continue;
    ordered_json names = ordered_json::array();
    for (const std::int64_t i : group) names.push_back(source.name(i));
    duplicates.push_back(std::move(names));
  }
  ordered_json channels = ordered_json::object(), classes = ordered_json::object();
  for (const auto& [number, count] : stats.channels) channels[std::to_string(number)] = count;
  for (std::size_t i = 0; i < stats.class_names.size(); ++i)
    classes[stats.class_names[i]] = stats.per_class[i];
  ordered_json json{{"images", stats.images},
                    {"bytes", stats.bytes},
                    {"unreadable_count", stats.unreadable.size()},
                    {"unreadable", std::move(unreadable)},
                    {"left_out", to_json(source.left_out())},
                    {"width", range(stats.width)},
                    {"height", range(stats.height)},
                    {"formats", stats.formats},
                    {"channels", std::move(channels)},
                    {"mean", stats.mean},
                    {"std", stats.std},
                    {"classes", std::move(classes)},
                    {"unlabelled", stats.unlabelled},
                    {"duplicate_groups", stats.duplicates.size()},
                    {"duplicate_surplus", surplus},
                    {"conflicting_groups", stats.conflicting},
                    {"duplicates", std::move(duplicates)}};
  if (source.stored_values()) {
    json["counted"] = stats.counted;
    json["lowest"] = stats.lowest;
    json["highest"] = stats.highest;
  }
  return json;
}

}  // namespace sgmae
