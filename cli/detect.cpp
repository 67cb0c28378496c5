// sgmae detect: Mask R-CNN on a pre-trained encoder.
#include "sgmae/tasks/detect.h"

#include <memory>

#include "cli/command.h"

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
    return detect(*options, images);
  };
  return command;
}

}  // namespace sgmae
