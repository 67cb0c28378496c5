// What result.json of a detection run (tasks/detect.h) says beyond single numbers: precision over
// recall, and which classes are taken for which. Anything else in its place is left out.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "sgmae/report/blocks.h"
#include "sgmae/report/run_reader.h"
#include "sgmae/report/svg.h"

namespace sgmae {

// Precision over recall, mean over the classes. One run alone has a chart for boxes and one for
// masks, with a line for each overlap that counts as found; several runs have a line each, and then
// each overlap its own chart. The last result of a run that has curves counts.
std::vector<Chart> precision_charts(const std::vector<RunRecord>& runs);

// Objects by true class (rows) and by the class of what was found there (columns); the last row is
// background taken for an object, the last column objects that were missed. Of more than
// `most_classes` classes only the most frequent mistakes, one a row. Without rows for a result that
// has no confusion.
Table confusion_table(const nlohmann::ordered_json& result, std::size_t most_classes);

}  // namespace sgmae
