// Only a picture, which report/analysis_figures draws.
#include "sgmae/eval/measure.h"

namespace sgmae::measure {

Measure masks() {
  return {.order = 110,
          .summary = "picture of the cut and the informed mask of every block",
          .cuts = true};
}

}  // namespace sgmae::measure
