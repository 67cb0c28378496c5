// sgmae report: one HTML page about one run or several.
#include "sgmae/report/report.h"

#include <filesystem>
#include <memory>

#include "cli/command.h"
#include "sgmae/base/log.h"

namespace sgmae {
namespace {

struct ReportArguments {
  ReportOptions report;
  std::string output = "report.html";

  void declare(Options& o) {
    o.section("report");
    o.add("output", output, "HTML file to write");
    o.add("title", report.title, "title of the page; empty: the names of the runs");
    o.add("figures", report.figures, "pictures per folder, spread over its epochs");
    o.add("figure_mib", report.figure_mib, "maximum total size of the pictures, in MiB");
  }
};

}  // namespace

Command report_command() {
  const auto options = std::make_shared<ReportArguments>();
  Command command;
  options->declare(command.options);
  command.positional_help = "RUN…";
  command.run = [options](const std::vector<std::string>& folders) {
    for (const std::string& folder : folders) {
      std::error_code ignored;
      check(!std::filesystem::is_regular_file(folder, ignored), ExitCode::usage, folder,
            " is a file; name the folder of its run");
    }
    const auto written =
        write_report({folders.begin(), folders.end()}, options->output, options->report);
    info("report: ", options->output);
    return written;
  };
  return command;
}

}  // namespace sgmae
