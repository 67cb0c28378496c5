// All measurements of the paper's analysis in one pass over images, for one model or many.
//
//   Survey survey(subjects, options);
//   while (loader.next(batch)) survey.add(batch.pixels, batch.index, objects);
//   json["metrics"] = survey.metrics();
//
// Memory depends on the models and on a few images at a time, not on how many images come.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "sgmae/analysis/metric_table.h"
#include "sgmae/eval/objects.h"
#include "sgmae/image/normalise.h"
#include "sgmae/mask/guide.h"
#include "sgmae/mask/options.h"
#include "sgmae/nn/encoder.h"
#include "sgmae/nn/mae.h"

namespace sgmae {

// What the user may ask for; each fills one or more metrics of metrics.json, draws a figure, or
// both.
struct Measure {
  std::string name;
  bool needs_decoder;
  std::string summary;
};
const std::vector<Measure>& measures();

// A model to look at.
struct Subject {
  std::string name;
  const Encoder* encoder = nullptr;
  const Mae* mae = nullptr;  // null: no decoder
  Normalisation normalisation;
  std::optional<std::int64_t> epoch;  // epochs finished
  std::size_t last_of_run = 0;  // index of the last checkpoint of the same run, perhaps itself
  // For GuideCenter::position: [N, D] mean feature of every grid position, by "encoder.3".
  std::map<std::string, at::Tensor> position_mean = {};
};

struct SurveyOptions {
  std::set<std::string> measures;
  double mask_ratio = 0.75;
  std::uint64_t seed = 0;
  GuideFeatures features = GuideFeatures::attention_out;  // whose cosine is M (Eq. 2)
  std::int64_t guide_layer = -2;               // encoder block whose cut says object and background
  GuideCenter center = GuideCenter::position;  // of the features that are cut; not of M
  ObjectRule object = ObjectRule::eigenvector;
  double hint_ratio = 0.05;
};

// Fills position_mean of every block of every subject with the mean over all images of `next`,
// which sets pixels as the first subject wants them and returns false at the end.
void learn_position_means(std::vector<Subject>& subjects, GuideFeatures features,
                          const std::function<bool(at::Tensor& pixels)>& next);

// Object and background of images by one block ("encoder.3") of a subject: features [B, N, D],
// centred as the options ask, similarity, cut, relevance.
Guide cut_of(const Subject& subject, const std::string& block, const at::Tensor& features,
             const SurveyOptions& options);

class Survey {
 public:
  // Throws Error(usage) for subjects that cannot be compared (image sizes, checkpoints of one run
  // with different grids) and for a measure that needs a decoder where one has none.
  Survey(std::vector<Subject> subjects, SurveyOptions options);

  // Images [B, C, H, W], normalised as the first subject wants them, at positions `index` of the
  // data set (which key the random masks); `objects` [B], or empty where nothing is marked.
  // Throws Error(checkpoint) for a model whose features or attention are not finite.
  void add(const at::Tensor& pixels, const std::vector<std::int64_t>& index,
           std::span<const std::optional<MarkedObjects>> objects = {});

  std::int64_t images() const { return images_; }
  std::int64_t images_with_objects() const { return images_with_objects_; }
  const MetricTable& table() const { return table_; }

  // The `metrics` object of metrics.json (docs/analysis.md).
  nlohmann::ordered_json metrics() const;

 private:
  void add_chunk(const at::Tensor& pixels, const std::vector<std::int64_t>& index,
                 std::span<const std::optional<MarkedObjects>> objects);

  std::vector<Subject> subjects_;
  SurveyOptions options_;
  MetricTable table_;
  std::int64_t images_ = 0, images_with_objects_ = 0;
  std::int64_t at_once_ = 1;  // images whose internals are held together
};

// Pixels normalised one way, as another model wants them.
at::Tensor renormalised(const at::Tensor& pixels, const Normalisation& from,
                        const Normalisation& to);

}  // namespace sgmae
