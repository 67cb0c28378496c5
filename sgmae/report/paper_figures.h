// What `sgmae analyze` measured, on a page: folded by the paper's figure.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "sgmae/report/blocks.h"
#include "sgmae/report/run_reader.h"

namespace sgmae {

// "Figure 7" of "Fig. 7a", "Figure 1" of "Figs. 1, III, VII", "Table 1" of itself; "" of "".
std::string figure_of(const std::string& paper);

// The analyses of all runs. A part to unfold for each figure or table of the paper, in its order,
// says what it shows and what good looks like; the last has what the paper does not. The files of
// pictures are added to `shown`.
std::string analysis(const std::vector<RunRecord>& runs, std::set<std::filesystem::path>& shown,
                     PictureBox& box);

}  // namespace sgmae
