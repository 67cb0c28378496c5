// What a detector finds in annotated images, and how right it is.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "sgmae/data/annotated_images.h"
#include "sgmae/data/loader.h"
#include "sgmae/detect/mask_rcnn.h"
#include "sgmae/eval/coco_eval.h"

namespace sgmae {

// What the model finds in an image, best first, in the image's own pixels; masks where it has a
// mask head. `canvas` [C, S, S] is normalised, and the image lies on it as `placed` says.
std::vector<DetectedObject> find_objects(const MaskRcnn& model, const at::Tensor& canvas,
                                         ImageSize source, const Placement& placed);

// Detections that somebody would look at, held against the objects one to one, whatever their
// class: the best first takes the object that it overlaps most, by half or more.
struct ImageVerdict {
  std::int64_t image = 0;
  std::int64_t right = 0, wrong = 0, missed = 0;  // of the object's class; anything else; neither
  std::int64_t only_boxed = 0;                    // objects of the truth without an outline

  double quality() const;  // F1; 1 where there is nothing to find and nothing found
};
inline constexpr double shown_score = 0.5;

// Rows truth, columns found; the last of each for none.
struct DetectionConfusion {
  explicit DetectionConfusion(std::int64_t classes)
      : side(classes + 1), counts(static_cast<std::size_t>(side * side)) {}

  std::int64_t& at(std::int64_t truth, std::int64_t found) {
    return counts[static_cast<std::size_t>(truth * side + found)];
  }

  std::int64_t at(std::int64_t truth, std::int64_t found) const {
    return counts[static_cast<std::size_t>(truth * side + found)];
  }

  std::int64_t side;
  std::vector<std::int64_t> counts;
};

// Adds to `confusion`. Crowds, and what lies in one by half or more, count nowhere.
ImageVerdict judge(std::int64_t image, const std::vector<Instance>& truth,
                   const std::vector<DetectedObject>& found, DetectionConfusion& confusion);

struct DetectionTest {
  CocoScores boxes;
  std::optional<CocoScores> masks;  // where both model and data have them
  std::int64_t images = 0, unreadable = 0;
  std::vector<ImageVerdict> verdicts;  // by image
  DetectionConfusion confusion;
  std::string found;  // in process 0: entries of COCO's list of results, without its brackets

  std::int64_t without_outline() const;  // objects that count in boxes alone, where there are masks
};

// Tests on all images of `data`, which the processes share. `loader`: Fit::inside, for the model's
// canvas. Throws StopRequested.
DetectionTest test_detector(const MaskRcnn& model, const AnnotatedImages& data,
                            const LoaderOptions& loader);

// Entries of COCO's list of results for one image, each followed by a comma and a line's end.
// `image` says which: {"image_id": …}; category_ids are the classes' numbers there.
std::string result_entries(const nlohmann::ordered_json& image,
                           const std::vector<DetectedObject>& found,
                           const std::vector<std::int64_t>& category_ids);
// Such entries as a file. Throws Error where it cannot be written.
void write_detections(const std::filesystem::path& file, std::string entries);

// "box_ap", "box_ap50", "box_ap75", those of small, medium and large, "box_ar100"; the same of
// masks where there are any. Shares in 0 .. 1; null where there are no objects.
nlohmann::ordered_json score_entries(const DetectionTest& test);
// Those, "per_class", "precision" (at 101 recalls, mean over classes, for three overlaps), and
// "confusion" [[truth, found, objects], …] by class numbers, the last for none.
nlohmann::ordered_json to_json(const DetectionTest& test,
                               const std::vector<std::string>& class_names);

}  // namespace sgmae
