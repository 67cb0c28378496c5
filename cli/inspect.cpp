// sgmae inspect: what a checkpoint is, in plain words.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "cli/command.h"
#include "sgmae/base/file.h"
#include "sgmae/base/log.h"
#include "sgmae/eval/describe_checkpoint.h"
#include "sgmae/io/checksum.h"

namespace sgmae {
namespace {

struct InspectOptions {
  bool tensors = false, verify = false;
  OpenOptions open;

  void declare(Options& o) {
    o.section("model");
    o.add("tensors", tensors, "list every tensor under MAE's names, with type and shape");
    o.add(
        "verify", verify,
        "compare checksums, of a file or of all .safetensors files in a folder, and nothing else");
    open.declare(o);
  }
};

// Files of ours have a checksum; those of others and of older versions have none.
nlohmann::ordered_json verify(const std::filesystem::path& path) {
  std::vector<std::filesystem::path> files{path};
  if (std::filesystem::is_directory(path)) {
    files.clear();
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path))
      if (entry.is_regular_file() && entry.path().extension() == ".safetensors")
        files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    check(!files.empty(), ExitCode::checkpoint, path.string(), ": holds no .safetensors file");
  }
  nlohmann::ordered_json json{{"intact", 0},
                              {"damaged", nlohmann::ordered_json::array()},
                              {"without_checksum", nlohmann::ordered_json::array()}};
  for (const auto& file : files) {
    const Checksum found = check_checksum(MappedFile(file, ExitCode::checkpoint).bytes());
    if (found == Checksum::right) json["intact"] = json["intact"].get<int>() + 1;
    if (found == Checksum::wrong) json["damaged"].push_back(file.string());
    if (found == Checksum::absent) json["without_checksum"].push_back(file.string());
    info(file.string(), found == Checksum::right ? ": intact"
                        : found == Checksum::wrong
                            ? ": DAMAGED, its bytes do not match its checksum"
                            : ": has no checksum");
  }
  if (!json["damaged"].empty())
    throw ReportedFailure(ExitCode::checkpoint,
                          str(json["damaged"].size(), " of ", files.size(), " files are damaged"),
                          json);
  return json;
}

nlohmann::ordered_json run_inspect(const InspectOptions& options,
                                   const std::vector<std::string>& files) {
  check(files.size() == 1, ExitCode::usage, "name one checkpoint: sgmae inspect FILE");
  if (options.verify) return verify(files[0]);
  const auto [file, description] = describe_checkpoint(files[0], options.open);
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
