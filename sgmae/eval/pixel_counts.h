// How right the classes of pixels are: counted image by image, in parts that add up, and told as
// mean intersection over union and its kin.
//
//   PixelCounts counts(classes);
//   while (…) counts.add(truth.labels, predicted.labels);
//   json["test"] = to_json(counts, class_names);
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

namespace sgmae {

class PixelCounts {
 public:
  explicit PixelCounts(std::int64_t classes);

  // Pixels with their true classes and those predicted (below `classes`); true ones of
  // unlabelled_pixel count nowhere. Throws Error(data) for another true class.
  void add(std::span<const std::uint8_t> truth, std::span<const std::uint8_t> predicted);

  // Pixels that another process or part counted, over the same classes.
  PixelCounts& operator+=(const PixelCounts& part);
  void sum_over_processes();

  std::int64_t classes() const { return classes_; }
  std::int64_t at(std::int64_t truth, std::int64_t predicted) const {
    return confusion_[static_cast<std::size_t>(truth * classes_ + predicted)];
  }
  std::span<const std::int64_t> confusion() const { return confusion_; }
  std::int64_t pixels() const;
  std::int64_t pixels_of(std::int64_t truth) const;
  std::int64_t predicted_as(std::int64_t c) const;

  // Shares in 0 .. 1; NaN where there is nothing to divide by.
  double iou(std::int64_t c) const;  // of class c; NaN where it is neither there nor predicted
  double accuracy_of(std::int64_t c) const;
  double mean_iou() const;                // over classes that are there or predicted
  double mean_iou_of_all() const;         // over all; those that are nowhere count as 0
  double accuracy() const;                // of pixels
  double mean_accuracy() const;           // over classes that are there
  double frequency_weighted_iou() const;  // by the true pixels of each class

  bool operator==(const PixelCounts&) const = default;

 private:
  std::int64_t classes_;
  std::vector<std::int64_t> confusion_;  // [classes, classes], truth by prediction
};

// {"miou", "accuracy", "mean_accuracy", "fw_iou", "miou_of_all_classes"}: shares, null for NaN.
nlohmann::ordered_json score_entries(const PixelCounts& counts);

// Those, "per_class": {name: {"pixels", "predicted", "iou", "accuracy", "mistaken_for"}},
// and "confusion": [[truth, predicted, pixels], …] by class numbers, without its zeros.
nlohmann::ordered_json to_json(const PixelCounts& counts,
                               const std::vector<std::string>& class_names);

}  // namespace sgmae
