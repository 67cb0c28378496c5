#include "sgmae/eval/coco_eval.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "sgmae/base/error.h"

namespace sgmae {
namespace coco {
namespace {

// numpy's linspace, to the last bit.
template <std::size_t count>
std::array<double, count> levels(double first, double last) {
  const double step = (last - first) / static_cast<double>(count - 1);
  std::array<double, count> all;
  for (std::size_t i = 0; i < count; ++i) all[i] = static_cast<double>(i) * step + first;
  all.back() = last;
  return all;
}

}  // namespace

const std::array<double, overlaps>& overlap_levels() {
  static const auto all = levels<overlaps>(.5, .95);
  return all;
}
const std::array<double, recalls>& recall_levels() {
  static const auto all = levels<recalls>(0, 1);
  return all;
}

}  // namespace coco

namespace {

// Areas in pixels, both ends included.
struct Range {
  double least, most;
  bool holds(double area) const { return area >= least && area <= most; }
};
constexpr std::array<Range, coco::areas> ranges{
    {{0, 1e10}, {0, 32 * 32}, {32 * 32, 96 * 96}, {96 * 96, 1e10}}};

constexpr auto most_on_an_image = static_cast<std::size_t>(coco::most_detections.back());

double box_overlap(const CocoBox& detected, const CocoBox& object, bool crowd) {
  const double width = std::min(detected.x + detected.width, object.x + object.width) -
                       std::max(detected.x, object.x);
  const double height = std::min(detected.y + detected.height, object.y + object.height) -
                        std::max(detected.y, object.y);
  if (width <= 0 || height <= 0) return 0;
  const double area = detected.width * detected.height, common = width * height;
  return common / (crowd ? area : area + object.width * object.height - common);
}

// A mask, and what is asked of it again and again.
struct Mask {
  const Runs* runs;
  CropBox box;
  std::int64_t area;

  explicit Mask(const Runs& r) : runs(&r), box(box_around(r)), area(area_of(r)) {}
};

double mask_overlap(const Mask& detected, const Mask& object, bool crowd) {
  const CropBox &a = detected.box, &b = object.box;
  if (a.x >= b.x + b.width || b.x >= a.x + a.width || a.y >= b.y + b.height ||
      b.y >= a.y + a.height || detected.runs->size != object.runs->size)
    return 0;
  const std::int64_t common = common_area(*detected.runs, *object.runs);
  if (common == 0) return 0;
  return static_cast<double>(common) /
         static_cast<double>(crowd ? detected.area : detected.area + object.area - common);
}

// An object that overlaps a detection enough for the lowest level.
struct Candidate {
  std::size_t object;
  double overlap;
};

// The objects and detections of one category on an image, and what matches.
class Group {
 public:
  // overlap(detection, object) by their positions.
  template <class Overlap>
  Group(std::span<const TrueObject> truth, std::span<const std::size_t> objects,
        std::span<const DetectedObject> detected, std::span<const std::size_t> best_first,
        const Overlap& overlap)
      : truth_(truth), objects_(objects), detected_(detected), best_first_(best_first) {
    first_.push_back(0);
    for (const std::size_t detection : best_first) {
      for (const std::size_t object : objects) {
        const double share = overlap(detection, object);
        if (share >= coco::overlap_levels().front()) candidates_.push_back({object, share});
      }
      first_.push_back(candidates_.size());
    }
  }

  void match(std::int64_t image, std::int64_t category, Matches& matches) {
    MatchedGroup group{image, category, static_cast<std::int64_t>(best_first_.size()), {}};
    const std::size_t begin = matches.detections.size();
    for (const std::size_t detection : best_first_)
      matches.detections.push_back({detected_[detection].score, {}, {}});
    for (std::size_t area = 0; area < coco::areas; ++area) {
      for (const std::size_t object : objects_) group.objects[area] += counts(object, area);
      taken_.assign(candidates_.empty() ? 0 : truth_.size(), 0);
      for (std::size_t i = 0; i < best_first_.size(); ++i)
        match_one(i, area, matches.detections[begin + i]);
    }
    matches.groups.push_back(group);
  }

 private:
  bool counts(std::size_t object, std::size_t area) const {
    return !truth_[object].crowd && ranges[area].holds(truth_[object].area);
  }

  void match_one(std::size_t i, std::size_t area, MatchedDetection& result) {
    const bool outside = !ranges[area].holds(detected_[best_first_[i]].area);
    const std::span own = std::span(candidates_).subspan(first_[i], first_[i + 1] - first_[i]);
    if (own.empty()) {
      result.ignored[area] = outside ? (1u << coco::overlaps) - 1 : 0;
      return;
    }
    for (std::size_t level = 0; level < coco::overlaps; ++level) {
      const auto bit = static_cast<std::uint16_t>(1u << level);
      // An object that counts is taken before any that does not.
      auto found = best(own, area, level, true);
      const bool to_ignore = !found;
      if (!found) found = best(own, area, level, false);
      if (found) {
        result.matched[area] |= bit;
        taken_[*found] |= bit;
      }
      if (found ? to_ignore : outside) result.ignored[area] |= bit;
    }
  }

  // The free object with the largest overlap, the last of equals.
  std::optional<std::size_t> best(std::span<const Candidate> own, std::size_t area,
                                  std::size_t level, bool that_counts) const {
    double least = coco::overlap_levels()[level];
    std::optional<std::size_t> found;
    for (const auto& [object, overlap] : own) {
      if (counts(object, area) != that_counts || overlap < least) continue;
      if ((taken_[object] >> level & 1) != 0 && !truth_[object].crowd) continue;
      least = overlap;
      found = object;
    }
    return found;
  }

  std::span<const TrueObject> truth_;
  std::span<const std::size_t> objects_;
  std::span<const DetectedObject> detected_;
  std::span<const std::size_t> best_first_;
  std::vector<Candidate> candidates_;
  std::vector<std::size_t> first_;    // of a detection in candidates_, and the end
  std::vector<std::uint16_t> taken_;  // by object, bits as in MatchedDetection
};

template <class Overlap>
void match(std::int64_t image, std::span<const TrueObject> truth,
           std::span<const DetectedObject> detected, const Overlap& overlap, Matches& matches) {
  std::vector<std::size_t> objects(truth.size()), found(detected.size());
  std::iota(objects.begin(), objects.end(), std::size_t{0});
  std::iota(found.begin(), found.end(), std::size_t{0});
  std::stable_sort(objects.begin(), objects.end(), [&](std::size_t a, std::size_t b) {
    return truth[a].category < truth[b].category;
  });
  std::stable_sort(found.begin(), found.end(), [&](std::size_t a, std::size_t b) {
    const DetectedObject &one = detected[a], &other = detected[b];
    return one.category != other.category ? one.category < other.category : one.score > other.score;
  });
  auto object = objects.begin();
  auto detection = found.begin();
  while (object != objects.end() || detection != found.end()) {
    constexpr std::int64_t none = std::numeric_limits<std::int64_t>::max();
    const std::int64_t category =
        std::min(object == objects.end() ? none : truth[*object].category,
                 detection == found.end() ? none : detected[*detection].category);
    const auto objects_end = std::find_if(
        object, objects.end(), [&](std::size_t i) { return truth[i].category != category; });
    const auto found_end = std::find_if(
        detection, found.end(), [&](std::size_t i) { return detected[i].category != category; });
    const std::span<const std::size_t> best(detection, found_end);
    Group(truth, std::span(object, objects_end), detected,
          best.first(std::min(best.size(), most_on_an_image)), overlap)
        .match(image, category, matches);
    object = objects_end;
    detection = found_end;
  }
}

// A detection among all of its category.
struct Ranked {
  const MatchedDetection* detection;
  std::int64_t place;  // on its image, from 0
};

// Precision and recall of one category in one range of areas with so many detections an image.
class Curves {
 public:
  Curves(std::span<const Ranked> best_first, std::size_t area, std::int64_t most) {
    std::array<std::int64_t, coco::overlaps> right{}, wrong{};
    for (const auto& [detection, place] : best_first) {
      if (place >= most) continue;
      if (!first_score_) first_score_ = detection->score;
      const unsigned counted = ~unsigned{detection->ignored[area]};
      const unsigned hits = detection->matched[area] & counted;
      const unsigned misses = ~unsigned{detection->matched[area]} & counted;
      for (std::size_t level = 0; level < coco::overlaps; ++level)
        wrong[level] += misses >> level & 1;
      for (std::size_t level = 0; hits >> level != 0; ++level)
        if ((hits >> level & 1) != 0) {
          const auto tp = static_cast<double>(++right[level]);
          const auto fp = static_cast<double>(wrong[level]);
          points_[level].push_back(
              {tp / (fp + tp + std::numeric_limits<double>::epsilon()), detection->score});
        }
    }
    // Precision at a recall is the best at that recall or a higher one.
    for (auto& points : points_)
      for (std::size_t i = points.size(); i-- > 1;)
        points[i - 1].precision = std::max(points[i - 1].precision, points[i].precision);
  }

  double recall(std::size_t level, std::int64_t objects) const {
    return static_cast<double>(points_[level].size()) / static_cast<double>(objects);
  }

  // see(recall's number, precision, score of the detection that reaches it) at each recall.
  template <class See>
  void at_recalls(std::size_t level, std::int64_t objects, const See& see) const {
    const auto& points = points_[level];
    std::size_t i = 0;
    for (std::size_t r = 0; r < coco::recalls; ++r) {
      const double wanted = coco::recall_levels()[r];
      while (i < points.size() &&
             static_cast<double>(i + 1) / static_cast<double>(objects) < wanted)
        ++i;
      if (r == 0)  // which the first detection reaches, right or wrong
        see(r, points.empty() ? 0 : points.front().precision, first_score_.value_or(0));
      else if (i < points.size())
        see(r, points[i].precision, points[i].score);
      else
        see(r, 0, 0);
    }
  }

 private:
  struct Point {  // where a detection is right
    double precision, score;
  };
  std::array<std::vector<Point>, coco::overlaps> points_;
  std::optional<double> first_score_;
};

// The mean of those that are not -1; -1 where all are.
class Mean {
 public:
  void add(double value) {
    if (value <= -1) return;
    sum_ += value;
    ++count_;
  }
  double value() const { return count_ == 0 ? -1 : static_cast<double>(sum_ / count_); }

 private:
  long double sum_ = 0;
  std::int64_t count_ = 0;
};

std::size_t limit_of(std::int64_t detections) {
  const auto& all = coco::most_detections;
  return static_cast<std::size_t>(std::find(all.begin(), all.end(), detections) - all.begin());
}

// Where values lie: [overlaps, recalls, categories, areas, limits]; of recall the same without the
// second.
std::size_t at(std::size_t overlap, std::size_t recall, std::size_t recalls, std::size_t category,
               std::size_t categories, std::size_t area, std::size_t limit) {
  return (((overlap * recalls + recall) * categories + category) * coco::areas + area) *
             coco::limits +
         limit;
}

}  // namespace

void Matches::add(const Matches& more) {
  groups.insert(groups.end(), more.groups.begin(), more.groups.end());
  detections.insert(detections.end(), more.detections.begin(), more.detections.end());
}

void match_boxes(std::int64_t image, std::span<const TrueObject> truth,
                 std::span<const DetectedObject> detected, Matches& matches) {
  match(
      image, truth, detected,
      [&](std::size_t detection, std::size_t object) {
        return box_overlap(detected[detection].box, truth[object].box, truth[object].crowd);
      },
      matches);
}

void match_masks(std::int64_t image, std::span<const TrueObject> truth,
                 std::span<const DetectedObject> detected, Matches& matches) {
  std::vector<Mask> objects, found;
  for (const TrueObject& object : truth) objects.emplace_back(object.mask);
  for (const DetectedObject& detection : detected) found.emplace_back(detection.mask);
  match(
      image, truth, detected,
      [&](std::size_t detection, std::size_t object) {
        return mask_overlap(found[detection], objects[object], truth[object].crowd);
      },
      matches);
}

CocoScores accumulate(const Matches& matches, std::size_t categories) {
  CocoScores result;
  result.categories = categories;
  const std::size_t entries = coco::overlaps * categories * coco::areas * coco::limits;
  result.precision.assign(entries * coco::recalls, -1);
  result.scores = result.precision;
  result.recall.assign(entries, -1);

  struct Place {
    const MatchedGroup* group;
    std::size_t first;  // of its detections
  };
  std::vector<Place> places;
  std::size_t first = 0;
  for (const MatchedGroup& group : matches.groups) {
    SGMAE_ASSERT(group.category >= 0 && static_cast<std::size_t>(group.category) < categories);
    places.push_back({&group, first});
    first += static_cast<std::size_t>(group.detections);
  }
  std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) {
    return std::pair(a.group->category, a.group->image) <
           std::pair(b.group->category, b.group->image);
  });
  std::vector<Ranked> best_first;
  for (auto begin = places.begin(); begin != places.end();) {
    const auto category = static_cast<std::size_t>(begin->group->category);
    std::array<std::int64_t, coco::areas> objects{};
    best_first.clear();
    for (; begin != places.end() && static_cast<std::size_t>(begin->group->category) == category;
         ++begin) {
      for (std::size_t area = 0; area < coco::areas; ++area)
        objects[area] += begin->group->objects[area];
      for (std::int64_t i = 0; i < begin->group->detections; ++i)
        best_first.push_back({&matches.detections[begin->first + static_cast<std::size_t>(i)], i});
    }
    std::stable_sort(best_first.begin(), best_first.end(), [](const Ranked& a, const Ranked& b) {
      return a.detection->score > b.detection->score;
    });
    for (std::size_t area = 0; area < coco::areas; ++area)
      for (std::size_t limit = 0; limit < coco::limits && objects[area] > 0; ++limit) {
        const Curves curves(best_first, area, coco::most_detections[limit]);
        for (std::size_t overlap = 0; overlap < coco::overlaps; ++overlap) {
          result.recall[at(overlap, 0, 1, category, categories, area, limit)] =
              curves.recall(overlap, objects[area]);
          curves.at_recalls(
              overlap, objects[area], [&](std::size_t recall, double precision, double score) {
                const std::size_t place =
                    at(overlap, recall, coco::recalls, category, categories, area, limit);
                result.precision[place] = precision;
                result.scores[place] = score;
              });
        }
      }
  }
  return result;
}

std::array<double, 12> CocoScores::stats() const {
  const auto ap = [&](std::size_t area, std::size_t first, std::size_t end) {
    Mean mean;
    for (std::size_t overlap = first; overlap < end; ++overlap)
      for (std::size_t recall = 0; recall < coco::recalls; ++recall)
        for (std::size_t k = 0; k < categories; ++k)
          mean.add(
              precision[at(overlap, recall, coco::recalls, k, categories, area, limit_of(100))]);
    return mean.value();
  };
  const auto ar = [&](std::size_t area, std::int64_t detections) {
    Mean mean;
    for (std::size_t overlap = 0; overlap < coco::overlaps; ++overlap)
      for (std::size_t k = 0; k < categories; ++k)
        mean.add(recall[at(overlap, 0, 1, k, categories, area, limit_of(detections))]);
    return mean.value();
  };
  constexpr std::size_t all = coco::overlaps;
  return {ap(0, 0, all), ap(0, 0, 1), ap(0, 5, 6), ap(1, 0, all), ap(2, 0, all), ap(3, 0, all),
          ar(0, 1),      ar(0, 10),   ar(0, 100),  ar(1, 100),    ar(2, 100),    ar(3, 100)};
}

double CocoScores::average_precision(std::size_t category) const {
  Mean mean;
  for (std::size_t overlap = 0; overlap < coco::overlaps; ++overlap)
    mean.add(average_precision(category, overlap));
  return mean.value();
}

double CocoScores::average_precision(std::size_t category, std::size_t overlap) const {
  Mean mean;
  for (std::size_t r = 0; r < coco::recalls; ++r)
    mean.add(precision[at(overlap, r, coco::recalls, category, categories, 0, limit_of(100))]);
  return mean.value();
}

std::vector<std::string> lines_of(const std::array<double, 12>& stats) {
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < stats.size(); ++i) {
    const bool is_precision = i < 6;
    const std::size_t area = i % 6 < 3 ? 0 : i % 6 - 2;
    const char* overlap = i == 1 ? "0.50     " : i == 2 ? "0.75     " : "0.50:0.95";
    std::string name = coco::area_names[area], most = std::to_string(i == 6   ? 1
                                                                     : i == 7 ? 10
                                                                              : 100);
    name.insert(0, 6 - name.size(), ' ');
    most.insert(0, 3 - most.size(), ' ');
    lines.push_back(str("Average ", is_precision ? "Precision (AP)" : "Recall    (AR)",
                        " @[ IoU=", overlap, " | area=", name, " | maxDets=", most,
                        " ] = ", fixed(stats[i], 3)));
  }
  return lines;
}

nlohmann::ordered_json to_json(const CocoScores& scores) {
  const auto stats = scores.stats();
  nlohmann::ordered_json json{{"stats", stats}};
  for (std::size_t i = 0; i < stats.size(); ++i) json[CocoScores::names[i]] = stats[i];
  return json;
}

}  // namespace sgmae
