// Only a picture, which report/analysis_figures draws.
#include "sgmae/eval/measure.h"

namespace sgmae::measure {

Measure tsne() {
  return {.order = 100, .summary = "picture of patches in the plane by t-SNE", .cuts = true};
}

}  // namespace sgmae::measure
