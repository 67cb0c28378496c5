#include "sgmae/eval/coco_eval_files.h"

#include <algorithm>
#include <limits>
#include <mutex>
#include <numeric>

#include "sgmae/base/error.h"
#include "sgmae/data/parallel.h"

namespace sgmae {
namespace {

template <class Entry>
std::vector<std::size_t> by_id(const std::vector<Entry>& entries) {
  std::vector<std::size_t> order(entries.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return entries[a].id < entries[b].id; });
  return order;
}

// A box as an outline, as pycocotools makes one of a detection that has none.
Shape shape_of_box(const CocoBox& box) {
  const auto [left, top, right, bottom] = box.pixels();
  return {{{left, top, left, bottom, right, bottom, right, top}}, {}};
}

class Evaluation {
 public:
  Evaluation(const CocoFile& truth, const CocoResults& results, const CocoEvalOptions& options)
      : truth_(truth), results_(results), options_(options), images_(by_id(truth.images())) {
    constexpr std::size_t most_categories = 50'000;  // whose curves take 10 GB
    check(truth.categories().size() <= most_categories, ExitCode::data, truth.name(), " lists ",
          truth.categories().size(), " categories; at most ", most_categories, " can be evaluated");
    ranks_.resize(truth.categories().size());
    const auto order = by_id(truth.categories());
    for (std::size_t i = 0; i < order.size(); ++i) ranks_[order[i]] = static_cast<std::int64_t>(i);
  }

  CocoScores run() const {
    Matches matches;
    std::mutex mutex;
    constexpr std::int64_t share = 64;
    in_parallel(static_cast<std::int64_t>(images_.size()), share, options_.threads, [&] {
      return [&](std::int64_t begin, std::int64_t end) {
        Matches own;
        for (std::int64_t rank = begin; rank < end; ++rank) match(rank, own);
        const std::lock_guard lock(mutex);
        matches.add(own);
      };
    });
    return accumulate(matches, options_.class_agnostic ? 1 : ranks_.size());
  }

 private:
  void match(std::int64_t rank, Matches& matches) const {
    const std::size_t image = images_[static_cast<std::size_t>(rank)];
    const auto objects = truth_.objects_of(static_cast<std::int64_t>(image));
    const auto detections = results_.of_image(static_cast<std::int64_t>(image));
    std::vector<TrueObject> truth;
    truth.reserve(objects.size());
    for (const CocoAnnotation& object : objects) truth.push_back(of(object));
    std::vector<DetectedObject> detected;
    detected.reserve(detections.size());
    for (const CocoDetection& detection : detections) detected.push_back(of(detection));
    if (options_.class_agnostic) {
      forget_categories(truth);
      forget_categories(detected);
    }
    (options_.masks ? match_masks : match_boxes)(rank, truth, detected, matches);
  }

  // Equal scores then go by category, and within one by the file.
  template <class Object>
  static void forget_categories(std::vector<Object>& objects) {
    std::stable_sort(objects.begin(), objects.end(),
                     [](const Object& a, const Object& b) { return a.category < b.category; });
    for (Object& object : objects) object.category = 0;
  }

  TrueObject of(const CocoAnnotation& object) const {
    TrueObject truth{rank_of(object.category), object.box, object.area, object.crowd, {}};
    if (!options_.masks) return truth;
    const Shape shape = truth_.shape(object);
    check(!shape.empty(), ExitCode::data, truth_.name(), ": ", truth_.place(object),
          ": there is no 'segmentation' to evaluate masks with; boxes are: --type bbox");
    truth.mask = mask(shape, object.image);
    return truth;
  }

  DetectedObject of(const CocoDetection& detection) const {
    DetectedObject detected{rank_of(detection.category),
                            detection.score,
                            detection.box,
                            detection.box.width * detection.box.height,
                            {}};
    if (results_.are_boxes() && !options_.masks) return detected;
    const Shape shape =
        detection.shape_at == 0 ? shape_of_box(detection.box) : results_.shape(detection);
    detected.mask = mask(shape, detection.image);
    if (results_.are_boxes()) return detected;
    detected.area = static_cast<double>(area_of(detected.mask));
    if (!detection.has_box) {
      const CropBox box = box_around(detected.mask);
      detected.box = {static_cast<double>(box.x), static_cast<double>(box.y),
                      static_cast<double>(box.width), static_cast<double>(box.height)};
    }
    return detected;
  }

  std::int64_t rank_of(std::int32_t category) const {
    return ranks_[static_cast<std::size_t>(category)];
  }

  Runs mask(const Shape& shape, std::int32_t position) const {
    const CocoImage& image = truth_.images()[static_cast<std::size_t>(position)];
    const auto [width, height] = image.size;
    check(!shape.runs.counts.empty() || (width > 0 && height > 0), ExitCode::data, truth_.name(),
          ": image ", image.id, " has no 'width' and 'height', which masks of polygons need");
    constexpr double most_pixels = std::numeric_limits<std::uint32_t>::max();
    check(static_cast<double>(width) * height <= most_pixels, ExitCode::data, truth_.name(),
          ": image ", image.id, " of ", width, "x", height, " pixels is too large for masks");
    return runs_of(shape, image.size);
  }

  const CocoFile& truth_;
  const CocoResults& results_;
  CocoEvalOptions options_;
  std::vector<std::size_t> images_;  // by rank
  std::vector<std::int64_t> ranks_;  // of categories
};

}  // namespace

std::vector<std::size_t> categories_by_id(const CocoFile& truth) {
  return by_id(truth.categories());
}

CocoScores evaluate(const CocoFile& truth, const CocoResults& results,
                    const CocoEvalOptions& options) {
  return Evaluation(truth, results, options).run();
}

}  // namespace sgmae
