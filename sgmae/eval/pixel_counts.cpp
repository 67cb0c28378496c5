#include "sgmae/eval/pixel_counts.h"

#include <ATen/ops/from_blob.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "sgmae/base/error.h"
#include "sgmae/eval/metrics.h"
#include "sgmae/image/label_map.h"
#include "sgmae/parallel/process_group.h"

namespace sgmae {
namespace {

using nlohmann::ordered_json;

double share(std::int64_t part, std::int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole)
                   : std::numeric_limits<double>::quiet_NaN();
}

ordered_json entry(double value) {
  return std::isnan(value) ? ordered_json() : ordered_json(value);
}

// Over the classes of which `of_class` is a number.
template <class OfClass>
double mean(std::int64_t classes, OfClass of_class) {
  double sum = 0, count = 0;
  for (std::int64_t c = 0; c < classes; ++c) {
    const double value = of_class(c);
    if (std::isnan(value)) continue;
    sum += value;
    count += 1;
  }
  return count > 0 ? sum / count : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

PixelCounts::PixelCounts(std::int64_t classes)
    : classes_(classes), confusion_(static_cast<std::size_t>(classes * classes)) {
  SGMAE_ASSERT(classes > 0 && classes <= unlabelled_pixel);
}

void PixelCounts::add(std::span<const std::uint8_t> truth,
                      std::span<const std::uint8_t> predicted) {
  SGMAE_ASSERT(truth.size() == predicted.size());
  for (std::size_t i = 0; i < truth.size(); ++i) {
    const std::int64_t is = truth[i], seen = predicted[i];
    if (is == unlabelled_pixel) continue;
    check(is < classes_, ExitCode::data, "a pixel has class ", is, ", but the classes are 0 to ",
          classes_ - 1);
    SGMAE_ASSERT(seen < classes_);
    ++confusion_[static_cast<std::size_t>(is * classes_ + seen)];
  }
}

PixelCounts& PixelCounts::operator+=(const PixelCounts& part) {
  SGMAE_ASSERT(classes_ == part.classes_);
  for (std::size_t i = 0; i < confusion_.size(); ++i) confusion_[i] += part.confusion_[i];
  return *this;
}

void PixelCounts::sum_over_processes() {
  processes().sum(
      at::from_blob(confusion_.data(), {static_cast<std::int64_t>(confusion_.size())}, at::kLong));
}

std::int64_t PixelCounts::pixels() const {
  return std::accumulate(confusion_.begin(), confusion_.end(), std::int64_t{0});
}

std::int64_t PixelCounts::pixels_of(std::int64_t truth) const {
  const auto row = confusion_.begin() + truth * classes_;
  return std::accumulate(row, row + classes_, std::int64_t{0});
}

std::int64_t PixelCounts::predicted_as(std::int64_t c) const {
  std::int64_t sum = 0;
  for (std::int64_t truth = 0; truth < classes_; ++truth) sum += at(truth, c);
  return sum;
}

double PixelCounts::iou(std::int64_t c) const {
  return share(at(c, c), pixels_of(c) + predicted_as(c) - at(c, c));
}

double PixelCounts::accuracy_of(std::int64_t c) const {
  return share(at(c, c), pixels_of(c));
}

double PixelCounts::mean_iou() const {
  return mean(classes_, [&](std::int64_t c) { return iou(c); });
}

double PixelCounts::mean_iou_of_all() const {
  return mean(classes_, [&](std::int64_t c) {
    const double value = iou(c);
    return std::isnan(value) ? 0 : value;
  });
}

double PixelCounts::accuracy() const {
  std::int64_t right = 0;
  for (std::int64_t c = 0; c < classes_; ++c) right += at(c, c);
  return share(right, pixels());
}

double PixelCounts::mean_accuracy() const {
  return mean(classes_, [&](std::int64_t c) { return accuracy_of(c); });
}

double PixelCounts::frequency_weighted_iou() const {
  const std::int64_t all = pixels();
  if (all == 0) return std::numeric_limits<double>::quiet_NaN();
  double sum = 0;
  for (std::int64_t c = 0; c < classes_; ++c)
    if (const std::int64_t own = pixels_of(c); own > 0) sum += share(own, all) * iou(c);
  return sum;
}

ordered_json score_entries(const PixelCounts& counts) {
  return {{"miou", entry(counts.mean_iou())},
          {"accuracy", entry(counts.accuracy())},
          {"mean_accuracy", entry(counts.mean_accuracy())},
          {"fw_iou", entry(counts.frequency_weighted_iou())},
          {"miou_of_all_classes", entry(counts.mean_iou_of_all())}};
}

ordered_json to_json(const PixelCounts& counts, const std::vector<std::string>& class_names) {
  ordered_json result = score_entries(counts), per_class = ordered_json::object(),
               confusion = ordered_json::array();
  for (std::int64_t truth = 0; truth < counts.classes(); ++truth) {
    std::int64_t mistaken_for = -1, mistakes = 0;
    for (std::int64_t predicted = 0; predicted < counts.classes(); ++predicted) {
      const std::int64_t count = counts.at(truth, predicted);
      if (count > 0) confusion.push_back({truth, predicted, count});
      if (predicted == truth || count <= mistakes) continue;
      mistakes = count;
      mistaken_for = predicted;
    }
    ordered_json& row = per_class[class_name(class_names, truth)];
    row = {{"pixels", counts.pixels_of(truth)},
           {"predicted", counts.predicted_as(truth)},
           {"iou", entry(counts.iou(truth))},
           {"accuracy", entry(counts.accuracy_of(truth))}};
    if (mistaken_for >= 0) row["mistaken_for"] = class_name(class_names, mistaken_for);
  }
  result["per_class"] = per_class;
  result["confusion"] = confusion;
  return result;
}

}  // namespace sgmae
