// A look at the labels of segmented images: how many pixels of which class, and what is wrong.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sgmae/data/segmented_images.h"

namespace sgmae {

struct LabelStats {
  std::int64_t images = 0;
  struct ClassStats {
    std::string name;
    std::int64_t pixels = 0, images = 0;
  };
  std::vector<ClassStats> classes;
  std::int64_t pixels = 0;      // of labels that can be used
  std::int64_t unlabelled = 0;  // of these, pixels that count nowhere
  std::int64_t images_all_unlabelled = 0;

  // Labels that cannot be used, in the images' order.
  struct Unusable {
    std::string file, reason;
  };
  std::vector<Unusable> unusable;
  std::map<int, std::int64_t> above;  // pixels by value, of values that are no class's

  std::int64_t labelled() const { return pixels - unlabelled; }
  std::int64_t classes_without_pixels() const;
};

// Reads all labels, on `threads` threads.
LabelStats inspect_labels(const SegmentedImages& data, int threads);

nlohmann::ordered_json to_json(const LabelStats& stats);

}  // namespace sgmae
