#include "sgmae/eval/measure.h"

#include <algorithm>

#include "sgmae/analysis/relations.h"
#include "sgmae/base/error.h"
#include "sgmae/mask/patch_error.h"
#include "sgmae/ncut/graph.h"

namespace sgmae {

ObjectRule object_rule_for(const Subject& subject, const SurveyOptions& options) {
  return usable_rule(options.object, subject.mae != nullptr, subject.name);
}

at::Tensor centred_features(const Subject& subject, const std::string& block,
                            const at::Tensor& features, const SurveyOptions& options) {
  const auto mean = subject.position_mean.find(block);
  return center_features(features, options.center,
                         mean == subject.position_mean.end() ? at::Tensor() : mean->second);
}

at::Tensor evidence_of(const Subject& subject, const at::Tensor& pixels,
                       const std::vector<std::int64_t>& index, const SurveyOptions& options) {
  const GuideOptions guide{.object = object_rule_for(subject, options),
                           .mask_ratio = options.mask_ratio,
                           .seed = options.seed};
  return subject.mae ? object_evidence(*subject.mae, pixels, guide, index)
                     : object_evidence(*subject.encoder, pixels, guide);
}

Guide guide_of(const Subject& subject, const std::string& block, const at::Tensor& features,
               const at::Tensor& evidence, const SurveyOptions& options) {
  return guide_from_features(
      centred_features(subject, block, features, options), subject.encoder->config().grid_width(),
      {.center = GuideCenter::none, .object = object_rule_for(subject, options)}, {}, evidence);
}

const at::Tensor& Scene::errors() const {
  if (!made_errors.defined())
    made_errors = patch_errors(*subject.mae, pixels, {index.begin(), index.end()},
                               options.mask_ratio, options.seed);
  return made_errors;
}

std::string features_tap(const SurveyOptions& options) {
  return feature_tap("", options.features).substr(1);
}

bool Scene::has_objects() const {
  return std::any_of(objects.begin(), objects.end(), [](const auto& o) { return o.has_value(); });
}

const std::vector<std::vector<float>>& Scene::covers() const {
  if (made_covers.empty()) {
    const VitConfig& config = subject.encoder->config();
    for (const auto& marked : objects)
      made_covers.push_back(marked
                                ? object_cover(*marked, config.grid_height(), config.grid_width())
                                : std::vector<float>());
  }
  return made_covers;
}

std::string BlockView::name() const {
  return str(part, ".", layer);
}

bool BlockView::is_guide_layer() const {
  const std::int64_t wanted = scene.options.guide_layer;
  return part == "encoder" && layer == (wanted < 0 ? wanted + depth : wanted);
}

at::Tensor BlockView::patches(const std::string& tap) const {
  return taps.at(tap).slice(1, prefix);
}

at::Tensor BlockView::features() const {
  return patches(features_tap(scene.options));
}

const at::Tensor& BlockView::similarity(const std::string& tap) const {
  at::Tensor& m = made[tap];
  if (!m.defined()) m = sgmae::similarity(patches(tap));
  return m;
}

const at::Tensor& BlockView::relation_m() const {
  return similarity(features_tap(scene.options));
}

const at::Tensor& BlockView::relation_a() const {
  at::Tensor& a = made["attention"];
  if (!a.defined()) a = attention_relation(taps.at("attention"), prefix);
  return a;
}

const at::Tensor& BlockView::centred() const {
  at::Tensor& x = made["centred"];
  if (!x.defined()) x = centred_features(scene.subject, name(), features(), scene.options);
  return x;
}

const at::Tensor& BlockView::centred_similarity() const {
  at::Tensor& m = made["centred similarity"];
  if (!m.defined()) m = sgmae::similarity(centred());
  return m;
}

const Bipartition& BlockView::cut() const {
  if (!made_cut) made_cut = bipartition(centred_similarity());
  return *made_cut;
}

SeriesId BlockView::series(const std::string& metric, const std::string& label) const {
  return {.metric = metric, .model = scene.model, .part = part, .label = label};
}

void BlockView::add(const std::string& metric, const std::string& label,
                    const at::Tensor& values) const {
  scene.table.add(series(metric, label), static_cast<double>(layer), values);
}

void BlockView::add_pairs(const std::string& metric, const std::string& label,
                          const at::Tensor& rows, MetricTable::OfImagesBefore values) const {
  scene.table.add_pairs(series(metric, label), static_cast<double>(layer), rows, std::move(values));
}

}  // namespace sgmae
