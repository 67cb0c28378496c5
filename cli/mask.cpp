// sgmae mask: what a model's patches say about images: object, relevance, informed masks.
#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <system_error>

#include "cli/command.h"
#include "cli/pixels_file.h"
#include "sgmae/base/log.h"
#include "sgmae/checkpoint/open_model.h"
#include "sgmae/data/loader.h"
#include "sgmae/image/encode.h"
#include "sgmae/io/safetensors.h"
#include "sgmae/mask/trained_guide.h"
#include "sgmae/ncut/graph.h"
#include "sgmae/report/sheet.h"
#include "sgmae/train/compute.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

struct MaskOptions {
  std::string checkpoint, input, output = "masks";
  std::map<std::string, std::string> guide;  // option, as text
  double mask_ratio = 0.75, hint_ratio = 0.05;
  OpenOptions open;
  ComputeOptions compute;

  void declare(Options& o) {
    o.section("model");
    o.add("checkpoint", checkpoint,
          "run folder or checkpoint of any family; without a decoder nothing is reconstructed");
    open.declare(o);
    o.section("data");
    o.add("input", input, "safetensors file with `pixels` [B, C, H, W] in place of image files");
    o.add("output", output, "folder for the sheet and tensors; with --input the file of tensors");
    o.section("mask");
    GuideOptions defaults;
    Options guide_options;
    declare_guide(guide_options, defaults);
    for (const OptionInfo& option : guide_options.all()) {
      std::string values = option.type;
      std::replace(values.begin(), values.end(), '|', '/');
      o.add(option.name, guide[option.name],
            str(option.help, " (", values, "); empty: as the model was trained"));
    }
    o.add("mask_ratio", mask_ratio, "fraction of patches to mask");
    o.add("hint_ratio", hint_ratio, "fraction of patches shown again as hints");
    o.section("run");
    compute.declare(o);
  }
};

nlohmann::ordered_json run_mask(MaskOptions options, const std::vector<std::string>& files) {
  check(!options.checkpoint.empty(), ExitCode::usage,
        "checkpoint is missing; name a run folder or a model file: --checkpoint PATH");
  options.compute.check();
  check(!files.empty() || !options.input.empty(), ExitCode::usage,
        "no images are named; write sgmae mask photo.jpg …, or --input FILE.safetensors");
  check(files.empty() || options.input.empty(), ExitCode::usage,
        "give image files or --input FILE.safetensors, not both");
  use_threads(options.compute.threads);
  OpenedModel loaded = open_model(options.checkpoint, options.open);
  if (!files.empty()) check_use(Use::mask, loaded);
  place(loaded, options.compute);
  const VitConfig& config = loaded.encoder().config();
  const Normalisation normalisation = loaded.info.normalisation();
  const GuideOptions guide_options = trained_guide(loaded, options.guide);

  at::Tensor pixels;
  if (files.empty()) {
    pixels = read_pixels_file(options.input).pixels;
  } else {
    pixels = load_images(files, static_cast<int>(config.height), static_cast<int>(config.width),
                         static_cast<int>(config.channels), normalisation);
  }

  const auto [guide, plan, n_hints] =
      guided_masks(loaded, pixels, guide_options, options.mask_ratio, options.hint_ratio);

  const fs::path folder = options.output;
  fs::path tensors = folder;
  nlohmann::ordered_json json;
  if (!files.empty()) {
    std::error_code error;
    fs::create_directories(folder, error);
    check(!error, ExitCode::usage, "cannot make the folder ", folder.string(), ": ",
          error.message(), "; choose another --output");
    const SheetText text{"Guidance by " + model_title(options.checkpoint, loaded.info), files};
    write_png(folder / "masks.png", loaded.mae() ? mask_sheet(*loaded.mae(), pixels, guide, plan,
                                                              n_hints, normalisation, text)
                                                 : mask_sheet(loaded.encoder(), pixels, guide, plan,
                                                              n_hints, normalisation, text));
    info("wrote ", (folder / "masks.png").string());
    json["sheet"] = (folder / "masks.png").string();
    tensors = folder / "masks.safetensors";
  }
  NamedTensors found{{"similarity", similarity(guide.features).cpu()},
                     {"object_side", guide.object_side},
                     {"relevance", guide.relevance},
                     {"order", plan.order}};
  if (guide.eigenvector.defined())  // there was a cut
    found.emplace_back("eigenvector", guide.eigenvector);
  write_safetensors(tensors, found);
  info("wrote ", tensors.string());
  json["tensors"] = tensors.string();
  json["images"] = pixels.size(0);
  return json;
}

}  // namespace

Command mask_command() {
  const auto options = std::make_shared<MaskOptions>();
  Command command;
  options->declare(command.options);
  command.positional_help = "IMAGES…";
  command.run = [options](const std::vector<std::string>& files) {
    return run_mask(*options, files);
  };
  return command;
}

}  // namespace sgmae
