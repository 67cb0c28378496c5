// sgmae mask: what a model's patches say about images: object, relevance, informed masks.
#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <system_error>
#include <utility>

#include "cli/command.h"
#include "cli/pixels_file.h"
#include "sgmae/base/log.h"
#include "sgmae/checkpoint/open_model.h"
#include "sgmae/data/loader.h"
#include "sgmae/image/encode.h"
#include "sgmae/io/safetensors.h"
#include "sgmae/mask/informed.h"
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

// The guide options of the model's training, under those given here.
GuideOptions choose_guide(const MaskOptions& options, const OpenedModel& model) {
  const ModelInfo& info = model.info;
  GuideOptions guide;
  // Files of versions before there was a choice say each option on its own.
  if (info.guide.is_object() && !info.guide.contains("guide"))
    guide = guide_options(GuideChoice::paper);
  Options declared;
  declare_guide(declared, guide);
  for (const auto& [name, given] : options.guide) {
    if (info.guide.contains(name)) {
      const nlohmann::json& trained = info.guide[name];
      declared.set(name, trained.is_string() ? trained.get<std::string>() : trained.dump(),
                   "the checkpoint");
    }
    if (!given.empty()) declared.set(name, given, "--" + name);
  }
  const bool chosen =
      !options.guide.at("guide").empty() || !options.guide.at("guide_object").empty();
  if (!chosen) guide.object = usable_rule(guide.object, model.mae(), "this model");
  if (guide.center != GuideCenter::position) return guide;
  const auto taps = [&](const auto& config) {
    return std::pair(guide_tap(config, guide), position_mean_tap(info, config));
  };
  const auto [here, measured] =
      model.mae() ? taps(model.mae()->config()) : taps(model.encoder().config());
  if (!info.position_mean.defined())
    warn(
        "this checkpoint has no position means, which its own masks did not need; using "
        "--guide_center none");
  else if (here != measured)
    warn("this checkpoint's position means are of ", measured.empty() ? "an unknown tap" : measured,
         ", not of ", here, "; using --guide_center none");
  else
    return guide;
  guide.center = GuideCenter::none;
  return guide;
}

nlohmann::ordered_json run_mask(MaskOptions options, const std::vector<std::string>& files) {
  check(!options.checkpoint.empty(), ExitCode::usage,
        "checkpoint is missing; name a run folder or a model file: --checkpoint PATH");
  options.compute.check();
  check(files.empty() == !options.input.empty(), ExitCode::usage,
        "give image files or --input FILE.safetensors, not both");
  use_threads(options.compute.threads);
  OpenedModel loaded = open_model(options.checkpoint, options.open);
  if (!files.empty()) check_use(Use::mask, loaded);
  place(loaded, options.compute);
  const VitConfig& config = loaded.encoder().config();
  const Normalisation normalisation{loaded.info.mean, loaded.info.std};
  const GuideOptions guide_options = choose_guide(options, loaded);

  at::Tensor pixels;
  if (files.empty()) {
    pixels = read_pixels_file(options.input).pixels;
  } else {
    pixels = load_images(files, static_cast<int>(config.height), static_cast<int>(config.width),
                         static_cast<int>(config.channels), normalisation);
  }

  const at::Tensor& position_mean = loaded.info.position_mean;
  const Guide guide = loaded.mae()
                          ? make_guide(*loaded.mae(), pixels, guide_options, position_mean)
                          : make_guide(loaded.encoder(), pixels, guide_options, position_mean);
  const HintOptions hints{.ratio = options.hint_ratio};
  const std::int64_t n_visible = visible_count(config.n_patches(), options.mask_ratio);
  check_hints(hints, config.n_patches(), n_visible);
  const std::int64_t n_hints = hint_count(hints, config.n_patches(), 0, 0, 1);
  const MaskPlan plan = informed_plan(guide, n_visible, n_hints);

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
