// A measure of the survey: what it asks of the forward passes and what it makes of their internals.
// Each is one file of eval/measures/, NAME.cpp, which defines
//
//   Measure measure::NAME() {
//     return {.order = 35, .summary = "…", .charts = {…}, .taps = {"block_out"}, .see = see};
//   }
//
// The build makes measures() of all files in that folder and names each measure as its file. From
// them come what --metrics accepts and its help, and the charts of metrics.json.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
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
  std::int64_t guide_layer = -1;           // encoder block that says object and background
  GuideCenter center = GuideCenter::none;  // of the features of object and cut; not of M
  ObjectRule object = ObjectRule::hardest;
  double hint_ratio = 0.05;
};

// The rule that the options ask for or, where it asks for a decoder and the subject has none, the
// paper's.
ObjectRule object_rule_for(const Subject& subject, const SurveyOptions& options);

// Features [B, N, D] of one block ("encoder.3") of a subject, centred as the options ask.
at::Tensor centred_features(const Subject& subject, const std::string& block,
                            const at::Tensor& features, const SurveyOptions& options);

// What that rule asks of every patch, whatever the block (object_evidence()). `pixels` as the
// subject wants them, `index` keys masks.
at::Tensor evidence_of(const Subject& subject, const at::Tensor& pixels,
                       const std::vector<std::int64_t>& index, const SurveyOptions& options);

// Object and relevance of images by one block's features, of that evidence.
Guide guide_of(const Subject& subject, const std::string& block, const at::Tensor& features,
               const at::Tensor& evidence, const SurveyOptions& options);

// Relevance maps that training stored, of the images at hand and what the model sees of them.
struct StoredRelevance {
  std::size_t model = 0;   // the last checkpoint of the run that stored them
  std::int64_t epoch = 0;  // epochs finished by the weights that made them
  at::Tensor relevance;    // [B, N] fp32; NaN rows: no guidance
};

// One model on a few images.
struct Scene {
  const SurveyOptions& options;
  const Subject& subject;
  std::size_t model = 0;      // index of the subject
  bool is_reference = false;  // last of its run; of the same images it is seen before the others
  at::Tensor pixels = {};     // [B, C, H, W] as the subject wants them
  std::span<const std::int64_t> index = {};                    // [B] positions in the data set
  std::span<const std::optional<MarkedObjects>> objects = {};  // [B], or empty: nothing is marked
  std::span<const StoredRelevance> stored = {};                // of any model
  MetricTable& table;
  mutable at::Tensor made_errors = {};
  mutable std::vector<std::vector<float>> made_covers = {};

  bool has_objects() const;
  const at::Tensor& errors() const;  // [B, N] patch_errors() of the subject, which has a decoder
  // The objects on the subject's grid, [B] of [N] (object_cover()); empty where there are none.
  const std::vector<std::vector<float>>& covers() const;
};

// One block of it, while the images pass: the taps (nn/taps.h) that measures asked for, and what
// several of them make of these, made once.
struct BlockView {
  const Scene& scene;
  std::string part;           // encoder or decoder
  std::int64_t layer, depth;  // block `layer` of `depth`
  std::int64_t prefix;        // tokens before the patches
  at::Tensor mask = {};       // [B, N] in the masked pass: 1 where a patch is masked
  std::map<std::string, at::Tensor> taps = {};  // with prefix
  mutable std::map<std::string, at::Tensor> made = {};
  mutable std::optional<Bipartition> made_cut = {};

  std::string name() const;     // "encoder.3"
  bool is_guide_layer() const;  // the encoder block that options.guide_layer means
  at::Tensor patches(const std::string& tap) const;  // [B, N, D] of a tap [B, prefix+N, D]
  at::Tensor features() const;                       // [B, N, D], of options.features
  const at::Tensor& similarity(const std::string& tap) const;  // [B, N, N] cosine of patches(tap)
  const at::Tensor& relation_m() const;                        // M [B, N, N], of features()
  const at::Tensor& relation_a() const;                        // A [B, N, N], of the tap attention
  const at::Tensor& centred() const;                           // [B, N, D], of features()
  const at::Tensor& centred_similarity() const;                // [B, N, N], of centred()
  const Bipartition& cut() const;                              // of centred_similarity()

  SeriesId series(const std::string& metric, const std::string& label = "") const;
  // Values [B] of a curve over layers.
  void add(const std::string& metric, const std::string& label, const at::Tensor& values) const;
  // The same of images and those before them (MetricTable::add_pairs).
  void add_pairs(const std::string& metric, const std::string& label, const at::Tensor& rows,
                 MetricTable::OfImagesBefore values) const;
};

// The tap that options.features names: attention_out, block_out or key.
std::string features_tap(const SurveyOptions& options);

// One chart of metrics.json. Its axes: model, part, `more`, x.
struct MetricInfo {
  std::string name, title, paper;
  std::string good;  // one sentence for who sees it the first time: what a good model looks like
  std::string unit = "";
  std::vector<std::string> more = {};
  std::string x = "layer";
  bool along_training = false;  // also drawn over the epochs of a run
  bool may_be_negative = false;
};

inline MetricInfo along_training(MetricInfo chart) {
  chart.along_training = true;
  return chart;
}
inline MetricInfo may_be_negative(MetricInfo chart) {
  chart.may_be_negative = true;
  return chart;
}

struct Measure {
  std::string name = {};
  int order;  // place in help and metrics.json, as in the paper
  std::string summary;
  bool needs_decoder = false;
  bool needs_run = false;               // other checkpoints of a run beside its last
  bool needs_objects = false;           // marked by people; without them it sees nothing
  bool cuts = false;                    // normalised cuts: GuideCenter::position needs means
  std::vector<MetricInfo> charts = {};  // none: only a picture (report/analysis_figures)

  // Of every block that it sees; "features" is the tap of options.features, and of encoder block 0
  // there is also "embed".
  std::set<std::string> taps = {};
  // Each block when all patches are seen; each decoder block, and the output, when a part of them
  // is masked at random. Every survey has copies of its own, which may keep what they like of the
  // images at hand; those before and after them may be another process's.
  std::function<void(const BlockView&)> see = {}, see_masked = {};
  std::function<void(const Scene&, const MaeOutput&, const at::Tensor& mask)> see_output = {};
  std::function<void(const Scene&)> see_scene = {};  // without a pass of the model
};

// All files of eval/measures/, by order.
const std::vector<Measure>& measures();

}  // namespace sgmae
