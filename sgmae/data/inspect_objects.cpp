#include "sgmae/data/inspect_objects.h"

#include <algorithm>
#include <set>

namespace sgmae {

ObjectStats inspect_objects(const AnnotatedImages& data) {
  constexpr double small = 32 * 32, medium = 96 * 96;
  ObjectStats stats;
  for (const std::string& name : data.class_names()) stats.classes.push_back({name, 0, 0});
  std::vector<std::int64_t> counts;
  stats.images = data.images().size();
  for (std::int64_t i = 0; i < stats.images; ++i) {
    std::set<std::int64_t> here;
    std::int64_t count = 0;
    for (const Instance& object : data.objects(i)) {
      if (object.crowd) {
        ++stats.crowds;
        continue;
      }
      ++count;
      stats.with_outline += !object.shape.empty();
      // As pycocotools has it, both bounds belong to both sides; here to the upper one.
      ++(object.area < small ? stats.small : object.area < medium ? stats.medium : stats.large);
      ++stats.classes[static_cast<std::size_t>(object.category)].objects;
      here.insert(object.category);
    }
    for (const std::int64_t category : here)
      ++stats.classes[static_cast<std::size_t>(category)].images;
    stats.objects += count;
    if (count > 0) counts.push_back(count);
  }
  stats.images_without = stats.images - static_cast<std::int64_t>(counts.size());
  if (counts.empty()) return stats;
  std::sort(counts.begin(), counts.end());
  stats.fewest = counts.front();
  stats.median = counts[counts.size() / 2];
  stats.most = counts.back();
  return stats;
}

nlohmann::ordered_json to_json(const ObjectStats& stats) {
  nlohmann::ordered_json classes = nlohmann::ordered_json::array();
  for (const ObjectStats::ClassStats& one : stats.classes)
    classes.push_back({{"name", one.name}, {"objects", one.objects}, {"images", one.images}});
  return {{"objects", stats.objects},
          {"crowds", stats.crowds},
          {"with_outline", stats.with_outline},
          {"small", stats.small},
          {"medium", stats.medium},
          {"large", stats.large},
          {"images_without_objects", stats.images_without},
          {"objects_per_image",
           {{"fewest", stats.fewest}, {"median", stats.median}, {"most", stats.most}}},
          {"classes", classes}};
}

}  // namespace sgmae
