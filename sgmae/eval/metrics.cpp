#include "sgmae/eval/metrics.h"

#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/eval/confusion_figure.h"
#include "sgmae/image/encode.h"
#include "sgmae/parallel/process_group.h"

namespace sgmae {
namespace {

constexpr std::int64_t top = 5;

double share(std::int64_t part, std::int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole)
                   : std::numeric_limits<double>::quiet_NaN();
}

// Place of `label` among the scores, 0 for the highest; equal scores stand in order of class.
std::int64_t rank_of(const double* scores, std::int64_t classes, std::int64_t label) {
  std::int64_t rank = 0;
  for (std::int64_t c = 0; c < classes; ++c)
    rank += scores[c] > scores[label] || (scores[c] == scores[label] && c < label);
  return rank;
}

}  // namespace

ClassificationCounts::ClassificationCounts(std::int64_t classes)
    : classes_(classes),
      confusion_(static_cast<std::size_t>(classes * classes)),
      top5_(static_cast<std::size_t>(classes)) {
  SGMAE_ASSERT(classes > 0);
}

void ClassificationCounts::add(const at::Tensor& scores, const std::vector<std::int64_t>& labels) {
  SGMAE_ASSERT(scores.dim() == 2 && scores.size(1) == classes_ &&
               scores.size(0) == static_cast<std::int64_t>(labels.size()));
  const at::Tensor values = scores.to(at::kDouble).contiguous();
  const double* row = values.const_data_ptr<double>();
  for (const std::int64_t label : labels) {
    check(label >= 0 && label < classes_, ExitCode::data, "a test image has class ", label,
          ", but the classes are 0 to ", classes_ - 1,
          "; every test image needs a class that the training images have");
    check(std::none_of(row, row + classes_, [](double v) { return std::isnan(v); }),
          ExitCode::diverged, "the classifier's scores are NaN; use an earlier checkpoint");
    const std::int64_t predicted = std::max_element(row, row + classes_) - row;
    ++confusion_[static_cast<std::size_t>(label * classes_ + predicted)];
    top5_[static_cast<std::size_t>(label)] += rank_of(row, classes_, label) < top;
    row += classes_;
  }
}

ClassificationCounts& ClassificationCounts::operator+=(const ClassificationCounts& part) {
  SGMAE_ASSERT(classes_ == part.classes_);
  for (std::size_t i = 0; i < confusion_.size(); ++i) confusion_[i] += part.confusion_[i];
  for (std::size_t i = 0; i < top5_.size(); ++i) top5_[i] += part.top5_[i];
  return *this;
}

void ClassificationCounts::sum_over_processes() {
  for (std::vector<std::int64_t>* counts : {&confusion_, &top5_})
    processes().sum(
        at::from_blob(counts->data(), {static_cast<std::int64_t>(counts->size())}, at::kLong));
}

std::int64_t ClassificationCounts::images() const {
  return std::accumulate(confusion_.begin(), confusion_.end(), std::int64_t{0});
}

std::int64_t ClassificationCounts::images_of(std::int64_t truth) const {
  const auto row = confusion_.begin() + truth * classes_;
  return std::accumulate(row, row + classes_, std::int64_t{0});
}

std::int64_t ClassificationCounts::at(std::int64_t truth, std::int64_t predicted) const {
  return confusion_[static_cast<std::size_t>(truth * classes_ + predicted)];
}

std::int64_t ClassificationCounts::top5_of(std::int64_t truth) const {
  return top5_[static_cast<std::size_t>(truth)];
}

double ClassificationCounts::top1() const {
  std::int64_t right = 0;
  for (std::int64_t c = 0; c < classes_; ++c) right += at(c, c);
  return share(right, images());
}

double ClassificationCounts::top5() const {
  return share(std::accumulate(top5_.begin(), top5_.end(), std::int64_t{0}), images());
}

double ClassificationCounts::class_mean() const {
  double sum = 0, present = 0;
  for (std::int64_t c = 0; c < classes_; ++c) {
    if (images_of(c) == 0) continue;
    sum += top1_of(c);
    present += 1;
  }
  return present > 0 ? sum / present : std::numeric_limits<double>::quiet_NaN();
}

double ClassificationCounts::top1_of(std::int64_t truth) const {
  return share(at(truth, truth), images_of(truth));
}

nlohmann::ordered_json to_json(const ClassificationCounts& counts,
                               const std::vector<std::string>& class_names) {
  const auto name = [&](std::int64_t c) { return class_name(class_names, c); };
  nlohmann::ordered_json per_class = nlohmann::ordered_json::object();
  nlohmann::ordered_json confusion = nlohmann::ordered_json::array();
  for (std::int64_t truth = 0; truth < counts.classes(); ++truth) {
    const std::int64_t images = counts.images_of(truth);
    std::int64_t mistaken_for = -1, mistakes = 0;
    for (std::int64_t predicted = 0; predicted < counts.classes(); ++predicted) {
      const std::int64_t count = counts.at(truth, predicted);
      if (count > 0) confusion.push_back({truth, predicted, count});
      if (predicted == truth || count <= mistakes) continue;
      mistakes = count;
      mistaken_for = predicted;
    }
    nlohmann::ordered_json& row = per_class[name(truth)];
    row = {{"images", images},
           {"acc1", counts.top1_of(truth)},
           {"acc5", share(counts.top5_of(truth), images)}};
    if (mistaken_for >= 0) row["mistaken_for"] = name(mistaken_for);
  }
  return {{"images", counts.images()},         {"acc1", counts.top1()},  {"acc5", counts.top5()},
          {"class_mean", counts.class_mean()}, {"per_class", per_class}, {"confusion", confusion}};
}

std::string class_name(const std::vector<std::string>& names, std::int64_t c) {
  const auto i = static_cast<std::size_t>(c);
  return i < names.size() ? names[i] : std::to_string(c);
}

void make_result_folder(const std::filesystem::path& folder,
                        std::initializer_list<const char*> parts) {
  for (const char* part : parts) {
    std::error_code error;
    std::filesystem::create_directories(folder / part, error);
    check(!error, ExitCode::usage, "cannot write to the folder ", folder.string(), ": ",
          error.message(), "; choose another with --output_dir");
  }
}

void write_result(const std::filesystem::path& folder, const nlohmann::ordered_json& result) {
  // Class names come from folders, whose names need not be UTF-8.
  write_file(folder / "result.json",
             result.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

void write_result(const std::filesystem::path& folder, const nlohmann::ordered_json& result,
                  const ClassificationCounts& counts, const std::vector<std::string>& class_names) {
  make_result_folder(folder);
  write_png(folder / "figures" / "confusion.png",
            confusion_figure(counts.confusion(), counts.classes(), class_names));
  write_result(folder, result);
}

}  // namespace sgmae
