// metrics.json of `sgmae analyze` as charts and pictures (its schema: docs/analysis.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "sgmae/report/svg.h"

namespace sgmae {

// One metric and part of the model. Where the file gives standard errors, the 95 % interval of the
// mean over images is shaded.
struct MeasuredChart {
  std::string paper;      // figure or table of the paper; "" where it has none
  bool detailed = false;  // by head or block
  Chart chart;            // its note says what good looks like
};

struct MeasuredFigure {
  std::filesystem::path file;
  std::string title, paper, caption;
};

struct Measurements {
  std::string data;  // what was measured on; "" where the file does not say
  std::int64_t images = 0;
  std::vector<std::string> models;  // names that tell them apart
  std::vector<MeasuredChart> charts;
  std::vector<MeasuredFigure> figures;
  std::vector<std::string> notes;  // what was left out, and why
};

// Never throws for what the file holds: what does not fit the schema is left out with a note.
Measurements read_measurements(const std::filesystem::path& file);

}  // namespace sgmae
