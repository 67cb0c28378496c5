// What each run is, at a glance.
#pragma once

#include <string>
#include <vector>

#include "sgmae/report/run_reader.h"

namespace sgmae {

// A row per fact that any of the runs has: model, data, masks, epochs, last results, time and
// arithmetic, restarts, machine, start and end. Then what could not be read.
std::string overview(const std::vector<RunRecord>& runs);

}  // namespace sgmae
