// One page about one run or several side by side: a self-contained HTML file that needs neither
// network nor script.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sgmae/report/run_reader.h"

namespace sgmae {

struct ReportOptions {
  std::string title;    // "": the names of the runs
  int figures = 4;      // mask sheets and the like shown per folder, from first to last epoch
  int figure_mib = 16;  // all pictures of the page together
};

struct Report {
  std::string html;
  std::int64_t figures_left_out = 0;
};
Report make_report(std::vector<RunRecord> runs, const ReportOptions& options);

// Reads the run folders, writes the page, and returns {"report", "bytes", "figures_left_out",
// "runs": [{"name", "epochs", "train_loss", "notes"}]}. Throws Error(usage) for no folder, one
// named twice, or a page that cannot be written; Error(data) for a folder that is no run.
nlohmann::ordered_json write_report(const std::vector<std::filesystem::path>& folders,
                                    const std::filesystem::path& output,
                                    const ReportOptions& options);

}  // namespace sgmae
