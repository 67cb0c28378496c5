// KL divergence of relations to those of the run's last checkpoint (Eq. 4; Fig. 3b, IV, VI).
#include <map>

#include "sgmae/analysis/relations.h"
#include "sgmae/eval/measure.h"

namespace sgmae::measure {
namespace {

class Divergence : public Gauge {
  std::set<std::string> whole(const Scene& scene) const override {
    return {"attention", features_tap(scene.options)};
  }

  void see(const BlockView& block) override {
    const at::Tensor rows = block.relation_m().softmax(-1), &a = block.relation_a();
    Reference& reference = references_[block.name()];
    if (block.scene.is_reference) reference = {rows, a};
    block.add("divergence_similarity", "", relation_divergence(rows, reference.m));
    block.add("divergence_attention", "", relation_divergence(a, reference.a));
  }

  struct Reference {
    at::Tensor m, a;  // [B, N, N] rows are distributions
  };
  std::map<std::string, Reference> references_;  // by block, of the images at hand
};

}  // namespace

Measure divergence() {
  const auto chart = [](const char* name, const char* title) {
    return MetricInfo{
        .name = name, .title = title, .paper = "Fig. 3b", .unit = "nats", .along_training = true};
  };
  return {
      .name = "divergence",
      .order = 40,
      .summary = "relations against those of the run's last checkpoint",
      .needs_run = true,
      .charts = {chart("divergence_similarity", "KL divergence of similarity to the last epoch's"),
                 chart("divergence_attention", "KL divergence of attention to the last epoch's")},
      .gauge = gauge<Divergence>};
}

}  // namespace sgmae::measure
