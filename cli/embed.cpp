// sgmae embed: features of whole images, never masked.
#include <algorithm>
#include <filesystem>
#include <memory>

#include "cli/command.h"
#include "sgmae/base/log.h"
#include "sgmae/eval/embed_task.h"
#include "sgmae/parallel/process_group.h"

namespace sgmae {
namespace {

struct EmbedArguments {
  std::string to;
  EmbedTask task;
  LaunchOptions launch;

  void declare(Options& o) {
    task.declare(o);
    o.section("run");
    o.add(
         "to", to,
         "file to write: .safetensors, .parquet with a row an image, or .npy with names and labels "
         "in FILE.npy.json beside it")
        .alias("output");
    task.compute.declare(o);
    launch.declare(o);
  }
};

nlohmann::ordered_json run_embed(EmbedArguments options,
                                 const std::vector<std::string>& arguments) {
  const std::vector<std::string> files = options.task.take_images(arguments);
  options.task.check();
  check_embedding_name(options.to);
  const std::filesystem::path kept = options.to + ".part";
  const Embedding embedding = embed_images(options.task, files, kept);
  nlohmann::ordered_json json;
  processes().leader([&] {
    const std::vector<bool> readable = embedding.readable();
    const auto unreadable = std::count(readable.begin(), readable.end(), false);
    check(unreadable < embedding.size(), ExitCode::data,
          "none of the images can be read; the first is ", embedding.names.front());
    write_embedding(options.to, embedding);
    std::filesystem::remove(kept);
    info("wrote ", shape_text(embedding.features), " to ", options.to,
         unreadable == 0   ? ""
         : unreadable == 1 ? "; 1 unreadable image has a row of NaN"
                           : str("; ", unreadable, " unreadable images have rows of NaN"));
    json = {{"output", options.to},
            {"shape", embedding.features.sizes()},
            {"unreadable_images", unreadable}};
  });
  return json;
}

}  // namespace

Command embed_command() {
  const auto options = std::make_shared<EmbedArguments>();
  Command command;
  options->declare(command.options);
  command.launch = &options->launch;
  command.positional_help = "FOLDER or IMAGES…";
  command.run = [options](const std::vector<std::string>& arguments) {
    return run_embed(*options, arguments);
  };
  return command;
}

}  // namespace sgmae
