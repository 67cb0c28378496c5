// One page about one run, several side by side, or a study: a self-contained HTML file that needs
// neither network nor script.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sgmae/report/run_reader.h"
#include "sgmae/report/study_results.h"

namespace sgmae {

struct ReportOptions {
  std::string title;    // "": the names of the runs
  int figures = 4;      // mask sheets and the like shown per folder, from first to last epoch
  int figure_mib = 16;  // all pictures of the page together
  std::filesystem::path page = {};  // folder of the page, for links to others; empty: none
};

struct Report {
  std::string html;
  std::int64_t figures_left_out = 0;
};
// The runs of `studies` are among `runs`.
Report make_report(std::vector<RunRecord> runs, const ReportOptions& options,
                   const std::vector<StudyRecord>& studies = {});

// Reads the folders of runs and studies, writes the page, and returns {"report", "bytes",
// "figures_left_out", "runs": [{"name", "epochs", "train_loss", "notes"}]}. Throws Error(usage) for
// no folder, one named twice, or a page that cannot be written; Error(data) for a folder that is no
// run.
nlohmann::ordered_json write_report(const std::vector<std::filesystem::path>& folders,
                                    const std::filesystem::path& output,
                                    const ReportOptions& options);

// Writes RUN/report.html; where that cannot be done it warns, since the run itself went well.
// Process 0 does it.
void report_on(const std::filesystem::path& run);

// After an evaluation or analysis in a folder inside a pre-training run's: the run's page is made
// anew, with what was found. Nothing anywhere else, and for an empty path.
void report_on_run_around(const std::filesystem::path& evaluation);

}  // namespace sgmae
