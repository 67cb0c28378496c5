// How right a classifier is: counted image by image, in parts that add up, and told as top-1,
// top-5, mean over classes, confusion matrix and per-class table.
//
//   ClassificationCounts counts(n_classes);
//   while (…) counts.add(logits, batch.label);
//   json["test"] = to_json(counts, class_names);
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "sgmae/image/image.h"

namespace sgmae {

class ClassificationCounts {
 public:
  explicit ClassificationCounts(std::int64_t classes);

  // Images with their `scores` [B, classes] (logits, votes; fp32 or fp64, larger is likelier) and
  // true classes [B]. Among equal scores the lower class goes first. Throws Error(data) for a label
  // that is not in 0 .. classes-1, Error(diverged) for scores that are NaN.
  void add(const at::Tensor& scores, const std::vector<std::int64_t>& labels);

  // Images that another process or part counted, over the same classes.
  ClassificationCounts& operator+=(const ClassificationCounts& part);

  // Those that all processes counted, in every one of them.
  void sum_over_processes();

  std::int64_t classes() const { return classes_; }
  std::int64_t images() const;
  std::int64_t images_of(std::int64_t truth) const;
  std::int64_t at(std::int64_t truth, std::int64_t predicted) const;  // the confusion matrix
  std::span<const std::int64_t> confusion() const { return confusion_; }
  std::int64_t top5_of(std::int64_t truth) const;

  // Shares in 0 .. 1; NaN where there is no image. With five classes or fewer top-5 is 1.
  double top1() const;
  double top5() const;
  double class_mean() const;  // mean of the shares of classes that have images
  double top1_of(std::int64_t truth) const;

  bool operator==(const ClassificationCounts&) const = default;

 private:
  std::int64_t classes_;
  std::vector<std::int64_t> confusion_;  // [classes, classes], truth by prediction
  std::vector<std::int64_t> top5_;       // [classes]
};

// {"images", "acc1", "acc5", "class_mean", "per_class": {name: {"images", "acc1", "acc5",
// "mistaken_for"}}, "confusion": [[truth, predicted, images], …]}. Shares in 0 .. 1; the confusion
// matrix by class numbers, without its zeros; the shares of a class without images are null.
// Classes beyond `class_names` are called by their number.
nlohmann::ordered_json to_json(const ClassificationCounts& counts,
                               const std::vector<std::string>& class_names);

// What class `c` is called; by its number where the names end before it.
std::string class_name(const std::vector<std::string>& names, std::int64_t c);

// Makes `folder` and these in it. Throws Error(usage) where that cannot be done.
void make_result_folder(const std::filesystem::path& folder,
                        std::initializer_list<const char*> parts = {"figures"});
// Writes `result` to folder/result.json, whatever the bytes of its texts.
void write_result(const std::filesystem::path& folder, const nlohmann::ordered_json& result);

// Writes `result` to folder/result.json and the picture to folder/figures/confusion.png, making the
// folders. Throws Error(usage) where they cannot be written.
void write_result(const std::filesystem::path& folder, const nlohmann::ordered_json& result,
                  const ClassificationCounts& counts, const std::vector<std::string>& class_names);

}  // namespace sgmae
