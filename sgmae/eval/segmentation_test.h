// How right a pixel classifier is on images whose every pixel has a class, and pictures of it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sgmae/data/segmented_images.h"
#include "sgmae/eval/pixel_counts.h"
#include "sgmae/eval/segment_photo.h"

namespace sgmae {

struct ImageScore {
  std::int64_t image = 0;
  double miou = 0;  // over the classes that are there or predicted; NaN where nothing is labelled
};

struct SegmentationTest {
  PixelCounts counts;
  std::vector<ImageScore> scores;  // by image, of those that were read
  std::int64_t images = 0, unreadable = 0;
};

// Tests on all images of `data`, which the processes share, each exactly once; those whose photo or
// labels cannot be read are named, left out and counted. One is decoded while the one before is
// looked at. Throws StopRequested, Error(data) where none can be read.
SegmentationTest test_segmentation(const PixelClassifier& classifier, const SegmentedImages& data,
                                   const SegmentViews& views);

// "miou" … of score_entries(), "test_images", "unreadable_test_images"; and the tables of
// to_json().
nlohmann::ordered_json to_json(const SegmentationTest& test,
                               const std::vector<std::string>& class_names);

// The test's images with the lowest mean IoU to folder/worst_01.png …, those with the highest to
// best_01.png …, at most `count` each: the photo, what is there, what was predicted. Looks at them
// once more.
void write_pictures(const std::filesystem::path& folder, const PixelClassifier& classifier,
                    const SegmentedImages& data, const SegmentationTest& test,
                    const SegmentViews& views, std::size_t count);

}  // namespace sgmae
