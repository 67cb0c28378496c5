// sgmae segment: UperNet on a pre-trained encoder, and simpler heads.
#include "sgmae/tasks/segment.h"

#include <memory>

#include "cli/command.h"
#include "sgmae/report/report.h"

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
    nlohmann::ordered_json result = segment(*options, images);
    if (images.empty())
      report_on_run_around(evaluation_folder(options->output_dir, options->checkpoint, "segment"));
    return result;
  };
  return command;
}

}  // namespace sgmae
