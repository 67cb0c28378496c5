// Detections held against the truth as COCO does: average precision and recall of boxes or masks,
// equal to pycocotools 2.0.11.
//
// In two steps, so that several threads or processes can share the first: matching on one image,
// and curves over all of them.
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "sgmae/data/coco_file.h"
#include "sgmae/image/runs.h"

namespace sgmae {

// What is looked at: ten overlaps, four ranges of areas, three numbers of detections on an image,
// precision at 101 recalls.
namespace coco {
inline constexpr std::size_t overlaps = 10, recalls = 101, areas = 4, limits = 3;
inline constexpr std::array<const char*, areas> area_names{"all", "small", "medium", "large"};
inline constexpr std::array<std::int64_t, limits> most_detections{1, 10, 100};
const std::array<double, overlaps>& overlap_levels();  // 0.5 to 0.95
const std::array<double, recalls>& recall_levels();    // 0 to 1
}  // namespace coco

struct TrueObject {
  std::int64_t category = 0;
  CocoBox box;
  double area = 0;     // what decides whether it is small, medium or large
  bool crowd = false;  // takes in any number of detections, which then count neither way
  Runs mask = {};      // of masks; else no counts
};

struct DetectedObject {
  std::int64_t category = 0;
  double score = 0;
  CocoBox box;
  double area = 0;
  Runs mask = {};
};

// What matching found: for each image and category with objects or detections a group, and the
// groups' detections one after the other, best first. Plain numbers, to be gathered as bytes.
struct MatchedGroup {
  std::int64_t image = 0, category = 0, detections = 0;
  std::array<std::int64_t, coco::areas> objects = {};  // of each range, those that count
};
struct MatchedDetection {
  double score = 0;
  // By range of areas; bit t is for the t-th overlap.
  std::array<std::uint16_t, coco::areas> matched = {}, ignored = {};
};
struct Matches {
  std::vector<MatchedGroup> groups;
  std::vector<MatchedDetection> detections;

  void add(const Matches& more);
};

// Matches the detections of one image, at most 100 of a category, and adds to `matches`. Among
// equal scores the first goes first. Masks of different sizes do not overlap. `image` is its rank:
// among equal scores of several images the lower one goes first (pycocotools: by id).
void match_boxes(std::int64_t image, std::span<const TrueObject> truth,
                 std::span<const DetectedObject> detected, Matches& matches);
void match_masks(std::int64_t image, std::span<const TrueObject> truth,
                 std::span<const DetectedObject> detected, Matches& matches);

// pycocotools' arrays: -1 for a category without objects in the range.
struct CocoScores {
  std::size_t categories = 0;
  std::vector<double> precision, scores;  // [overlaps, recalls, categories, areas, limits]
  std::vector<double> recall;             // [overlaps, categories, areas, limits]

  // pycocotools' twelve: AP, AP50, AP75, AP of small, medium and large; AR with 1, 10 and 100
  // detections, and of small, medium and large. -1 where there are no objects.
  static constexpr std::array<const char*, 12> names{"AP",  "AP50", "AP75",  "APs", "APm", "APl",
                                                     "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"};
  std::array<double, 12> stats() const;

  // Of one category, over all overlaps, or at one.
  double average_precision(std::size_t category) const;
  double average_precision(std::size_t category, std::size_t overlap) const;
};

// Curves of all that was matched, in any order. Categories are 0 to categories - 1.
CocoScores accumulate(const Matches& matches, std::size_t categories);

// As lines like pycocotools', and as {"stats": [twelve], "AP": …}.
std::vector<std::string> lines_of(const std::array<double, 12>& stats);
nlohmann::ordered_json to_json(const CocoScores& scores);

}  // namespace sgmae
