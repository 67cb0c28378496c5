// Oracle: the pure function (tests/analysis) on the tensors of one forward pass.
#include "sgmae/analysis/separation.h"
#include "sgmae/analysis/relations.h"
#include "sgmae/mask/guide.h"
#include "sgmae/ncut/graph.h"
#include "tests/eval/survey_models.h"

namespace sgmae {
namespace {

// Sides: the last checkpoint's cut at the guide layer, also for blocks that come before it.
TEST(SeparationMeasure, IsByTheSidesOfTheLastCheckpoint) {
  const SmallRun run;
  const Survey survey = run.survey("separation");
  const at::Tensor side =
      guide_from_features(without_cls(run.of_last("encoder.1.attention_out")), 6,
                          {.center = GuideCenter::mean, .object = ObjectRule::eigenvector})
          .object_side;
  for (const std::string block : {"encoder.0", "encoder.1", "decoder.0"})
    for (const std::size_t model : {0, 1}) {
      const auto tap = [&](const char* what) {
        const std::string name = block + what;
        return model == 0 ? run.of_first(name) : run.of_last(name);
      };
      const Separation m = separation(similarity(without_cls(tap(".attention_out"))), side);
      const Separation a = separation(attention_relation(tap(".attention")), side);
      for (const auto& [metric, label, expected] :
           {std::tuple{"separation_similarity", "within", m.intra},
            {"separation_similarity", "between", m.inter},
            {"separation_attention", "within", a.intra},
            {"separation_attention", "between", a.inter}})
        EXPECT_NEAR(
            value(survey,
                  {.metric = metric, .model = model, .part = block.substr(0, 7), .label = label},
                  block.back() - '0'),
            mean(expected), kBatches)
            << block << " " << model << " " << metric << " " << label;
    }
}

}  // namespace
}  // namespace sgmae
