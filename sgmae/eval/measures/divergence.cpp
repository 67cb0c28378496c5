// KL divergence of relations to those of the run's last checkpoint (Eq. 4; Fig. 3b, IV, VI).
#include "sgmae/analysis/relations.h"
#include "sgmae/eval/measure.h"

namespace sgmae::measure {
namespace {

struct Divergence {
  struct Relations {
    at::Tensor m, a;  // [B, N, N] rows are distributions
  };
  std::map<std::string, Relations> last;  // of the run's last checkpoint, by block

  void operator()(const BlockView& block) {
    const Relations relations{block.relation_m().softmax(-1), block.relation_a()};
    Relations& reference = last[block.name()];
    if (block.scene.is_reference) reference = relations;
    block.add("divergence_similarity", "", relation_divergence(relations.m, reference.m));
    block.add("divergence_attention", "", relation_divergence(relations.a, reference.a));
  }
};

}  // namespace

Measure divergence() {
  const std::string good =
      "Good: near 0 early. What belongs together in an image is then settled, and guidance may "
      "begin. The last epoch is at 0 by definition.";
  return {.order = 40,
          .summary = "relations against those of the run's last checkpoint",
          .needs_run = true,
          .charts = {along_training({"divergence_similarity",
                                     "KL divergence of similarity to the last epoch's", "Fig. 3b",
                                     good, "nats"}),
                     along_training({"divergence_attention",
                                     "KL divergence of attention to the last epoch's", "Fig. 3b",
                                     good, "nats"})},
          .taps = {"attention", "features"},
          .see = Divergence()};
}

}  // namespace sgmae::measure
