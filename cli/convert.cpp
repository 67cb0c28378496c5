// sgmae convert: a checkpoint of any family as another family's.
#include <filesystem>
#include <memory>
#include <optional>

#include "cli/command.h"
#include "sgmae/base/log.h"
#include "sgmae/checkpoint/open_model.h"
#include "sgmae/checkpoint/write_model.h"
#include "sgmae/eval/beit_segmenter.h"

namespace sgmae {
namespace {

struct ConvertOptions {
  std::string to;
  std::int64_t input_size = 0;
  OpenOptions open;

  void declare(Options& o) {
    o.section("model");
    o.add("to", to,
          "family to write: sgmae or timm (.safetensors), mae or mmpretrain (.pth), hf_vit_mae, "
          "hf_vit or hf_dinov2 (a folder); of a segmentation model also hf_beit, with its heads");
    o.add("input_size", input_size,
          "side of the images that the new file is for; position embeddings follow. 0: as it is");
    open.declare(o);
  }
};

nlohmann::ordered_json convert_segmenter(const std::string& from, const std::string& to) {
  const SegmenterFile model = read_segmenter(from);
  check(!std::filesystem::exists(to) || !std::filesystem::equivalent(model.path, to),
        ExitCode::usage, to, " is the checkpoint itself; choose another name");
  write_beit_segmenter(to, model);
  info("wrote ", to, ", transformers' BeitForSemanticSegmentation");
  return {{"to", "hf_beit"}, {"output", to}};
}

nlohmann::ordered_json run_convert(const ConvertOptions& options,
                                   const std::vector<std::string>& files) {
  check(files.size() == 2, ExitCode::usage,
        "name the checkpoint and what to write: sgmae convert SRC DST --to FAMILY");
  if (options.to == "hf_beit") return convert_segmenter(files[0], files[1]);
  const std::optional<Family> to = family_named(options.to);
  const std::string nearest = nearest_word(
      options.to,
      {"sgmae", "mae", "timm", "hf_vit_mae", "hf_vit", "hf_dinov2", "mmpretrain", "hf_beit"});
  check(to.has_value(), ExitCode::usage, "--to '", options.to,
        "' is not a family; choose sgmae, mae, timm, hf_vit_mae, hf_vit, hf_dinov2, mmpretrain or "
        "hf_beit",
        nearest.empty() ? "" : "; did you mean '" + nearest + "'?");
  ModelFile file = read_model_file(files[0], options.open);
  check(!std::filesystem::exists(files[1]) || !std::filesystem::equivalent(file.path, files[1]),
        ExitCode::usage, files[1], " is the checkpoint itself; choose another name");
  if (options.input_size > 0) resize_input(file, options.input_size, options.input_size);
  if (file.mae)  // a model that cannot be made is not worth writing
    make_mae(file);
  else
    make_vit(file);
  write_model(files[1], file, *to);
  info("wrote ", files[1], ", ", title_of(*to), ", from ", title_of(file.family));
  return {{"from", name_of(file.family)},
          {"to", name_of(*to)},
          {"output", files[1]},
          {"assumed", file.assumptions}};
}

}  // namespace

Command convert_command() {
  const auto options = std::make_shared<ConvertOptions>();
  Command command;
  options->declare(command.options);
  command.positional_help = "SRC DST";
  command.run = [options](const std::vector<std::string>& files) {
    return run_convert(*options, files);
  };
  return command;
}

}  // namespace sgmae
