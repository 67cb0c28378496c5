// What result.json of a detection run (tasks/detect.h) says beyond single numbers: precision over
// recall. Anything else in its place is left out.
#pragma once

#include <vector>

#include "sgmae/report/run_reader.h"
#include "sgmae/report/svg.h"

namespace sgmae {

// Precision over recall, mean over the classes. One run alone has a chart for boxes and one for
// masks, with a line for each overlap that counts as found; several runs have a line each, and then
// each overlap its own chart. The last result of a run that has curves counts.
std::vector<Chart> precision_charts(const std::vector<RunRecord>& runs);

}  // namespace sgmae
