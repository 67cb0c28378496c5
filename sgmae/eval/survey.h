// All measurements of the paper's analysis in one pass over images, for one model or many.
//
//   Survey survey(subjects, options);
//   while (loader.next(batch)) survey.add(batch.pixels, batch.index, objects);
//   json["metrics"] = survey.metrics();
//
// Memory depends on the models and on a few images at a time, not on how many images come. Of
// several processes each adds images of its own (shared_rounds() in train/shared_pass.h) and gets
// the metrics of all, which are those of one process bit for bit.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sgmae/eval/measure.h"

namespace sgmae {

// The mean of every grid position, in every block of every subject.
class PositionMeans {
 public:
  PositionMeans(const std::vector<Subject>& subjects, GuideFeatures features);

  // Images [B, C, H, W], normalised as the first subject wants them. Collective: each process adds
  // its own, or an undefined tensor.
  void add(const at::Tensor& pixels);
  // Fills position_mean of the subjects.
  void hand_to(std::vector<Subject>& subjects) const;

 private:
  std::vector<Subject> subjects_;
  SurveyOptions options_;
  std::vector<std::map<std::string, at::Tensor>> sums_;  // [N, D] by subject and block
  std::int64_t images_ = 0;
};

class Survey {
 public:
  // Throws Error(usage) for subjects that cannot be compared (image sizes, checkpoints of one run
  // with different grids) and for a measure that needs a decoder where one has none.
  // Those of `known` are taken that the options name.
  Survey(std::vector<Subject> subjects, SurveyOptions options,
         const std::vector<Measure>& known = measures());

  // Images [B, C, H, W], normalised as the first subject wants them, at positions `index` of the
  // data set (which key the random masks); `objects` [B], or empty where nothing is marked;
  // `stored`, maps of these images that runs left.
  // Collective: each process adds its own, or an undefined tensor; in the curves those of process 0
  // come first. Throws Error(checkpoint) for a model whose features or attention are not finite.
  void add(const at::Tensor& pixels, const std::vector<std::int64_t>& index,
           std::span<const std::optional<MarkedObjects>> objects = {},
           const std::vector<StoredRelevance>& stored = {});

  // Of all processes.
  std::int64_t images() const { return images_; }
  std::int64_t images_with_objects() const { return images_with_objects_; }
  const MetricTable& table() const { return table_; }

  // The `metrics` object of metrics.json (docs/analysis.md).
  nlohmann::ordered_json metrics() const;

 private:
  void add_chunk(const at::Tensor& pixels, std::span<const std::int64_t> index,
                 std::span<const std::optional<MarkedObjects>> objects,
                 std::span<const StoredRelevance> stored);
  void look(const Scene& scene);

  std::vector<Subject> subjects_;
  SurveyOptions options_;
  std::vector<Measure> measures_;  // copies of its own
  MetricTable table_;
  std::int64_t images_ = 0, images_with_objects_ = 0;
  std::int64_t at_once_ = 1;  // images that pass together
};

// Pixels normalised one way, as another model wants them.
at::Tensor renormalised(const at::Tensor& pixels, const Normalisation& from,
                        const Normalisation& to);

}  // namespace sgmae
