// sgmae reconstruct: pictures of what the autoencoder makes of images that it sees a part of.
#include <memory>
#include <numeric>

#include "cli/command.h"
#include "sgmae/base/log.h"
#include "sgmae/data/loader.h"
#include "sgmae/image/encode.h"
#include "sgmae/mask/strategy.h"
#include "sgmae/report/sheet.h"
#include "sgmae/train/checkpoint.h"

namespace sgmae {
namespace {

struct ReconstructOptions {
  std::string checkpoint, output = "reconstruction.png";
  double mask_ratio = 0.75;
  std::uint64_t seed = 0;
  OpenOptions open;

  void declare(Options& o) {
    o.section("model");
    o.add("checkpoint", checkpoint, "run folder or checkpoint of any family, with decoder");
    open.declare(o);
    o.section("data");
    o.add("output", output, "PNG file to write");
    o.section("mask");
    o.add("mask_ratio", mask_ratio, "fraction of patches to mask, at random");
    o.add("seed", seed, "of the masks");
  }
};

nlohmann::ordered_json run_reconstruct(const ReconstructOptions& options,
                                       const std::vector<std::string>& files) {
  check(!options.checkpoint.empty(), ExitCode::usage, "--checkpoint is missing");
  check(!files.empty(), ExitCode::usage, "give one or more image files");
  const LoadedMae loaded = load_mae(options.checkpoint, options.open);
  check_use(Use::reconstruct, loaded.model.encoder().config(), true, loaded.info.stored.has_value(),
            loaded.path);
  const MaeConfig& config = loaded.model.config();
  const Normalisation normalisation = loaded.info.normalisation();
  const at::Tensor pixels =
      load_images(files, static_cast<int>(config.height), static_cast<int>(config.width),
                  static_cast<int>(config.channels), normalisation);
  std::vector<std::int64_t> index(files.size());
  std::iota(index.begin(), index.end(), 0);
  const MaskPlan plan =
      random_plan(index, config.n_patches(), visible_count(config.n_patches(), options.mask_ratio),
                  options.seed, 0);
  const double loss = loaded.model.forward(pixels, plan).loss;
  const SheetText text{str("Reconstruction by ", model_title(options.checkpoint, loaded.info)),
                       files};
  write_png(options.output, reconstruction_sheet(loaded.model, pixels, plan, normalisation, text));
  if (config.norm_pix_loss)
    info(
        "the model predicts normalised patches; the picture restores each patch's true mean and "
        "standard deviation, which the model does not predict");
  info("loss ", fixed(loss, 4), "; wrote ", options.output);
  return {
      {"loss", loss}, {"output", options.output}, {"true_patch_statistics", config.norm_pix_loss}};
}

}  // namespace

Command reconstruct_command() {
  const auto options = std::make_shared<ReconstructOptions>();
  Command command;
  options->declare(command.options);
  command.positional_help = "IMAGES…";
  command.run = [options](const std::vector<std::string>& files) {
    return run_reconstruct(*options, files);
  };
  return command;
}

}  // namespace sgmae
