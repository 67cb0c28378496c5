#include "sgmae/eval/measure.h"

#include <algorithm>

#include "sgmae/analysis/relations.h"
#include "sgmae/base/error.h"
#include "sgmae/ncut/graph.h"

namespace sgmae {

Guide cut_of(const Subject& subject, const std::string& block, const at::Tensor& features,
             const SurveyOptions& options) {
  const GuideOptions guide{.center = options.center, .object = options.object};
  const auto mean = subject.position_mean.find(block);
  return guide_from_features(features, subject.encoder->config().grid_width(), guide,
                             mean == subject.position_mean.end() ? at::Tensor() : mean->second);
}

std::string features_tap(const SurveyOptions& options) {
  return feature_tap("", options.features).substr(1);
}

bool Scene::has_objects() const {
  return std::any_of(objects.begin(), objects.end(), [](const auto& o) { return o.has_value(); });
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

const Guide& BlockView::cut() const {
  if (!made_cut) made_cut = cut_of(scene.subject, name(), features(), scene.options);
  return *made_cut;
}

SeriesId BlockView::series(const std::string& metric, const std::string& label) const {
  return {.metric = metric, .model = scene.model, .part = part, .label = label};
}

void BlockView::add(const std::string& metric, const std::string& label,
                    const at::Tensor& values) const {
  scene.table.add(series(metric, label), static_cast<double>(layer), values);
}

}  // namespace sgmae
