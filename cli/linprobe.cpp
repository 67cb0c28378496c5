// sgmae linprobe: what a linear classifier reads from a frozen encoder.
#include "sgmae/tasks/linprobe.h"

#include <memory>

#include "cli/command.h"

namespace sgmae {

Command linprobe_command() {
  const auto options = std::make_shared<LinprobeOptions>();
  Command command;
  options->declare(command.options);
  command.takes_recipe = true;
  command.launch = &options->launch;
  command.run = [options](const std::vector<std::string>&) { return linprobe(*options); };
  return command;
}

}  // namespace sgmae
