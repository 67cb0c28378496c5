#include "sgmae/data/inspect_labels.h"

#include <algorithm>
#include <array>
#include <mutex>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/base/progress.h"
#include "sgmae/data/parallel.h"

namespace sgmae {
namespace {

using Counts = std::array<std::int64_t, 256>;

Counts count_of(const LabelMap& map) {
  Counts counts{};
  for (const std::uint8_t label : map.labels) ++counts[label];
  return counts;
}

// Of a file whose classes cannot be read: which values have none. Empty where nothing can be read.
std::map<int, std::int64_t> values_above(const SegmentedImages& data, std::int64_t image) {
  std::map<int, std::int64_t> above;
  try {
    const Counts counts = count_of(
        read_label_map(read_file(data.label_file(image), ExitCode::data, max_image_bytes)));
    for (std::size_t value = 0; value < counts.size(); ++value)
      if (counts[value] > 0 && data.class_of_value()[value] < 0)
        above[static_cast<int>(value)] += counts[value];
  } catch (const Error&) {  // the reason is known
  }
  return above;
}

}  // namespace

std::int64_t LabelStats::classes_without_pixels() const {
  return std::count_if(classes.begin(), classes.end(),
                       [](const ClassStats& one) { return one.pixels == 0; });
}

LabelStats inspect_labels(const SegmentedImages& data, int threads) {
  LabelStats stats;
  for (const std::string& name : data.class_names()) stats.classes.push_back({name, 0, 0});
  stats.images = data.images().size();
  std::map<std::int64_t, LabelStats::Unusable> unusable;
  std::int64_t done = 0;
  std::mutex mutex;  // guards `done`, `stats` and `unusable`
  Progress progress("labels", stats.images);
  constexpr std::int64_t share = 8;
  in_parallel(stats.images, share, threads, [&] {
    return [&, map = LabelMap()](std::int64_t begin, std::int64_t end) mutable {
      for (std::int64_t i = begin; i < end; ++i) {
        Counts counts{};
        std::string why;
        std::map<int, std::int64_t> above;
        try {
          data.read_labels(i, map);
          counts = count_of(map);
        } catch (const Error& error) {
          why = error.what();
          above = values_above(data, i);
        }
        const std::lock_guard lock(mutex);
        progress.show(++done);
        if (!why.empty()) {
          unusable[i] = {data.label_file(i), why};
          for (const auto& [value, pixels] : above) stats.above[value] += pixels;
          continue;
        }
        const auto pixels = static_cast<std::int64_t>(map.labels.size());
        stats.pixels += pixels;
        stats.unlabelled += counts[unlabelled_pixel];
        stats.images_all_unlabelled += counts[unlabelled_pixel] == pixels;
        for (std::size_t c = 0; c < stats.classes.size(); ++c) {
          stats.classes[c].pixels += counts[c];
          stats.classes[c].images += counts[c] > 0;
        }
      }
    };
  });
  for (auto& [image, entry] : unusable) stats.unusable.push_back(std::move(entry));
  return stats;
}

nlohmann::ordered_json to_json(const LabelStats& stats) {
  constexpr std::size_t most_named = 100;
  nlohmann::ordered_json classes = nlohmann::ordered_json::array();
  for (const LabelStats::ClassStats& one : stats.classes)
    classes.push_back({{"name", one.name}, {"pixels", one.pixels}, {"images", one.images}});
  nlohmann::ordered_json unusable = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < stats.unusable.size() && i < most_named; ++i)
    unusable.push_back({{"file", stats.unusable[i].file}, {"reason", stats.unusable[i].reason}});
  nlohmann::ordered_json above = nlohmann::ordered_json::object();
  for (const auto& [value, pixels] : stats.above) above[std::to_string(value)] = pixels;
  return {{"images", stats.images},
          {"pixels", stats.pixels},
          {"unlabelled_pixels", stats.unlabelled},
          {"images_all_unlabelled", stats.images_all_unlabelled},
          {"unusable_count", stats.unusable.size()},
          {"unusable", unusable},
          {"values_above_classes", above},
          {"classes_without_pixels", stats.classes_without_pixels()},
          {"classes", classes}};
}

}  // namespace sgmae
