// sgmae detect: Mask R-CNN on a pre-trained encoder.
#include "sgmae/tasks/detect.h"

#include <memory>

#include "cli/command.h"
#include "sgmae/report/report.h"

namespace sgmae {

Command detect_command() {
  const auto options = std::make_shared<DetectOptions>();
  Command command;
  options->declare(command.options);
  command.positional_help = "[IMAGES…]";
  command.takes_recipe = true;
  command.launch = &options->launch;
  command.leading = [options] { return resumed_run(*options); };
  command.run = [options](const std::vector<std::string>& images) {
    nlohmann::ordered_json result = detect(*options, images);
    if (images.empty())
      report_on_run_around(evaluation_folder(options->output_dir, options->checkpoint, "detect"));
    return result;
  };
  return command;
}

}  // namespace sgmae
