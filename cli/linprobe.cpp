// sgmae linprobe: what a linear classifier reads from a frozen encoder.
#include "sgmae/tasks/linprobe.h"

#include <memory>

#include "cli/command.h"
#include "sgmae/report/report.h"

namespace sgmae {

Command linprobe_command() {
  const auto options = std::make_shared<LinprobeOptions>();
  Command command;
  options->declare(command.options);
  command.takes_recipe = true;
  command.launch = &options->launch;
  command.leading = [options] {
    // MAE's script names in --resume what it tests.
    return options->eval ? std::vector<std::string>() : resumed_run(*options);
  };
  command.run = [options](const std::vector<std::string>&) {
    nlohmann::ordered_json result = linprobe(*options);
    report_on_run_around(evaluation_folder(options->output_dir, options->checkpoint, "linprobe"));
    return result;
  };
  return command;
}

}  // namespace sgmae
