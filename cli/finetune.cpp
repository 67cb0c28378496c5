// sgmae finetune: a whole vision transformer trained to classify.
#include "sgmae/tasks/finetune.h"

#include <memory>

#include "cli/command.h"

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
  command.run = [options](const std::vector<std::string>&) { return finetune(*options); };
  return command;
}

}  // namespace sgmae
