// sgmae inspect: what a checkpoint is, in plain words.
#include <cstdio>
#include <memory>

#include "cli/command.h"
#include "sgmae/checkpoint/describe.h"

namespace sgmae {
namespace {

struct InspectOptions {
  bool tensors = false;
  OpenOptions open;

  void declare(Options& o) {
    o.section("model");
    o.add("tensors", tensors, "list every tensor under MAE's names, with type and shape");
    open.declare(o);
  }
};

nlohmann::ordered_json run_inspect(const InspectOptions& options,
                                   const std::vector<std::string>& files) {
  check(files.size() == 1, ExitCode::usage, "name one checkpoint: sgmae inspect FILE");
  const ModelFile file = examine_model_file(files[0], options.open);
  const ModelDescription description = describe(file);
  std::string text = to_text(description, file);
  nlohmann::ordered_json json = to_json(description, file);
  if (options.tensors) {
    json["tensors"] = nlohmann::ordered_json::object();
    for (const auto& [name, tensor] : file.tensors) {
      text += str("  ", name, " ", tensor.dtype().name(), " ", shape_text(tensor), "\n");
      json["tensors"][name] = tensor.sizes().vec();
    }
  }
  std::fputs(text.c_str(), stderr);
  return json;
}

}  // namespace

Command inspect_command() {
  const auto options = std::make_shared<InspectOptions>();
  Command command;
  options->declare(command.options);
  command.positional_help = "FILE";
  command.run = [options](const std::vector<std::string>& files) {
    return run_inspect(*options, files);
  };
  return command;
}

}  // namespace sgmae
