// The charts of log.txt: what training, exploitation and tests looked like, epoch by epoch. One run
// alone has a colour per quantity; several side by side have a colour per run, and then each
// quantity has its own chart.
#pragma once

#include <string>
#include <vector>

#include "sgmae/report/run_reader.h"
#include "sgmae/report/svg.h"

namespace sgmae {

std::vector<Chart> training_charts(const std::vector<RunRecord>& runs);
std::vector<Chart> result_charts(const std::vector<RunRecord>& runs);

// Shares of visible and mask tokens in the decoder's output (paper, Eqs. 5-7, Fig. 4), with the
// epoch T in which guidance began marked: over epochs, in both readings of Eq. 6, and over layers.
std::vector<Chart> exploitation_charts(const std::vector<RunRecord>& runs);

// One chart for every number of the log that no other chart shows.
std::vector<Chart> further_charts(const std::vector<RunRecord>& runs);

// The charts side by side as far as the page is wide. "" when none has a point.
std::string cards(const std::vector<Chart>& charts);

}  // namespace sgmae
