// Only a picture, which report/analysis_figures draws.
#include "sgmae/eval/measure.h"

namespace sgmae::measure {

Measure clusters() {
  return {
      .order = 90, .summary = "picture of K clusters by recursive normalised cut", .cuts = true};
}

}  // namespace sgmae::measure
