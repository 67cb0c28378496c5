// A measure of the survey: what it asks of the forward passes and what it makes of their internals.
// Each is one file of eval/measures/, NAME.cpp, which defines
//
//   Measure measure::NAME() {
//     return {.name = "NAME", .order = 35, .summary = "…", .charts = {…}, .gauge = gauge<MyGauge>};
//   }
//
// The build makes measures() of all files in that folder. From them come what --metrics accepts and
// its help, and the charts of metrics.json.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
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
  std::int64_t guide_layer = -2;               // encoder block whose cut says object and background
  GuideCenter center = GuideCenter::position;  // of the features that are cut; not of M
  ObjectRule object = ObjectRule::eigenvector;
  double hint_ratio = 0.05;
};

// Object and background of images by one block ("encoder.3") of a subject: features [B, N, D],
// centred as the options ask, similarity, cut, relevance.
Guide cut_of(const Subject& subject, const std::string& block, const at::Tensor& features,
             const SurveyOptions& options);

// One model on a few images.
struct Scene {
  const SurveyOptions& options;
  const Subject& subject;
  std::size_t model;  // index of the subject
  bool is_reference;  // the last of its run; of the same images it is seen before the others
  at::Tensor pixels;  // [B, C, H, W] as the subject wants them
  std::span<const std::int64_t> index;                    // [B] positions in the data set
  std::span<const std::optional<MarkedObjects>> objects;  // [B], or empty where nothing is marked
  MetricTable& table;

  bool has_objects() const;
};

// One block of it, while the images pass: the taps (nn/taps.h) that gauges asked for, and what
// several of them make of these, made once.
class BlockView {
 public:
  const Scene& scene;
  const std::string part;           // encoder or decoder
  const std::int64_t layer, depth;  // block `layer` of `depth`
  const std::int64_t prefix;        // tokens before the patches
  const at::Tensor mask;            // [B, N] in the masked pass: 1 where a patch is masked

  BlockView(const Scene& scene, std::string part, std::int64_t layer, std::int64_t depth,
            std::int64_t prefix, at::Tensor mask);
  void put(const std::string& what, const at::Tensor& tap) { taps_[what] = tap; }

  std::string name() const;     // "encoder.3"
  bool is_guide_layer() const;  // the encoder block that options.guide_layer means
  const at::Tensor& tap(const std::string& what) const { return taps_.at(what); }  // with prefix
  at::Tensor patches(const std::string& what) const;  // [B, N, D] of a tap [B, prefix+N, D]
  at::Tensor features() const;                        // [B, N, D], those of options.features
  const at::Tensor& similarity(const std::string& what) const;  // [B, N, N] cosine of patches(what)
  const at::Tensor& relation_m() const;                         // M [B, N, N], of features()
  const at::Tensor& relation_a() const;                         // A [B, N, N], of the tap attention
  const Guide& cut() const;                                     // of features()

  SeriesId series(const std::string& metric, const std::string& label = "") const;
  // Values [B] of a curve over layers.
  void add(const std::string& metric, const std::string& label, const at::Tensor& values) const;

 private:
  std::map<std::string, at::Tensor> taps_;
  mutable std::map<std::string, at::Tensor> made_;
  mutable std::optional<Guide> cut_;
};

// The tap that options.features names: attention_out, block_out or key.
std::string features_tap(const SurveyOptions& options);

// A measure at work, for all models and images.
class Gauge {
 public:
  virtual ~Gauge() = default;
  // Taps of every block when all patches are seen; of encoder block 0 also `embed`.
  virtual std::set<std::string> whole(const Scene&) const { return {}; }
  // Taps of every decoder block when a part of the patches is masked at random; none: not run.
  virtual std::optional<std::set<std::string>> masked(const Scene&) const { return {}; }
  virtual void see(const BlockView&) {}         // each block of the pass over all patches
  virtual void see_masked(const BlockView&) {}  // each decoder block of the masked pass
  virtual void see_output(const Scene&, const MaeOutput&, const at::Tensor& /*mask [B, N]*/) {}
};

// One chart of metrics.json. Its axes: model, part, `more`, x.
struct MetricInfo {
  std::string name, title, paper, unit = "";
  std::string x = "layer";
  std::vector<std::string> more = {};
  bool along_training = false;  // also drawn over the epochs of a run
};

template <class G>
std::unique_ptr<Gauge> gauge() {
  return std::make_unique<G>();
}

struct Measure {
  std::string name;
  int order;  // place in help and metrics.json, as in the paper
  std::string summary;
  bool needs_decoder = false;
  bool needs_run = false;      // other checkpoints of a run beside its last
  bool needs_objects = false;  // marked by people
  bool cuts = false;           // normalised cuts, for which GuideCenter::position needs means
  std::vector<MetricInfo> charts = {};
  std::unique_ptr<Gauge> (*gauge)() = nullptr;  // null: only a picture (report/analysis_figures)
};

// All files of eval/measures/, by order.
const std::vector<Measure>& measures();

}  // namespace sgmae
