// Only a picture, which report/analysis_figures draws.
#include "sgmae/eval/measure.h"

namespace sgmae::measure {

Measure rollout() {
  return {.order = 130, .summary = "picture of what CLS comes from"};
}

}  // namespace sgmae::measure
