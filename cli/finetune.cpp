// sgmae finetune: a whole vision transformer trained to classify.
#include "sgmae/tasks/finetune.h"

#include <memory>

#include "cli/command.h"
#include "sgmae/report/report.h"

namespace sgmae {

Command finetune_command() {
  const auto options = std::make_shared<FinetuneOptions>();
  Command command;
  options->declare(command.options);
  command.takes_recipe = true;
  command.launch = &options->launch;
  command.leading = [options] {
    // MAE's script names in --resume what it tests.
    return options->eval ? std::vector<std::string>() : resumed_run(*options);
  };
  command.run = [options](const std::vector<std::string>&) {
    nlohmann::ordered_json result = finetune(*options);
    report_on_run_around(evaluation_folder(options->output_dir, options->checkpoint, "finetune"));
    return result;
  };
  return command;
}

}  // namespace sgmae
