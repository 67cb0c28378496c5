// sgmae segment: UperNet on a pre-trained encoder, and simpler heads.
#include "sgmae/tasks/segment.h"

#include <memory>

#include "cli/command.h"

namespace sgmae {

Command segment_command() {
  const auto options = std::make_shared<SegmentOptions>();
  Command command;
  options->declare(command.options);
  command.positional_help = "[IMAGES…]";
  command.takes_recipe = true;
  command.launch = &options->launch;
  command.leading = [options] { return resumed_run(*options); };
  command.run = [options](const std::vector<std::string>& images) {
    return segment(*options, images);
  };
  return command;
}

}  // namespace sgmae
