// sgmae pretrain: a folder of images in, a trained encoder in a run folder out.
#include "sgmae/tasks/pretrain.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>

#include "cli/command.h"
#include "sgmae/base/log.h"
#include "sgmae/image/encode.h"
#include "sgmae/io/tensorboard.h"
#include "sgmae/mask/informed.h"
#include "sgmae/mask/informed_plan.h"
#include "sgmae/mask/self_guided.h"
#include "sgmae/report/report.h"
#include "sgmae/report/sheet.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

// Some images from all over the data set, whole.
Batch sample_images(const ModelView& view) {
  constexpr std::int64_t kImages = 8;
  LoaderOptions whole = whole_images(view.loader);
  whole.num_workers = 0;
  whole.batch_size = std::min<std::int64_t>(kImages, view.source.size());
  whole.subset.clear();
  for (std::int64_t i = 0; i < whole.batch_size; ++i)  // spread, since folders are sorted by class
    whole.subset.push_back(i * view.source.size() / whole.batch_size);
  Loader loader(view.source, whole);
  loader.start_epoch(0);
  Batch batch;
  loader.next(batch);
  return batch;
}

// The images by their names below the folder that is common to all, under what there is to know of
// the model.
SheetText text_of(const ModelView& view, const Batch& batch) {
  const std::string& strategy = view.options.mask.strategy;
  const bool to_be_guided = strategy == "self_guided" && !view.info.guide.contains("start");
  const std::string run = fs::absolute(view.folder.root).lexically_normal().filename().string();
  SheetText text{str(model_title(run, view.info, view.options.epochs), ", trained with ",
                     to_be_guided ? "random masks so far" : strategy + " masks", ", on ",
                     view.options.data_path)};
  const std::size_t common = common_folder(view.source);
  for (const std::int64_t index : batch.index)
    text.names.push_back(view.source.name(index).substr(common));
  return text;
}

// They as the model of a checkpoint clusters, masks and rebuilds them.
Image guidance_sheet(const ModelView& view, const Batch& batch) {
  const auto& guided = view.options.mask.of<SelfGuidedOptions>();
  GuideOptions options = guided.guide;
  options.mask_ratio = view.options.mask.ratio;
  // Plain MAE trains at any depth, also at one that lacks the guide layer.
  options.layer = std::max(options.layer, -view.model.config().encoder.depth);
  if (options.center == GuideCenter::position && !view.info.position_mean.defined())
    options.center = GuideCenter::none;  // before guidance begins there are no position means yet
  const Guide guide =
      make_guide(view.model, batch.pixels, options, view.info.position_mean, batch.index);
  const std::int64_t n = view.model.config().n_patches();
  const std::int64_t n_visible = visible_count(n, view.options.mask.ratio);
  // Random masks train where hints, which they do not have, would not fit.
  const std::int64_t n_hints =
      std::min(n_visible, hint_count(guided.hints, n, 0, 0, view.options.epochs));
  const MaskPlan plan = informed_plan(guide, n_visible, n_hints);
  return mask_sheet(view.model, batch.pixels, guide, plan, n_hints, view.loader.normalisation,
                    text_of(view, batch));
}

// They as the run's own strategy masks them; what it throws counts as masked.
Image strategy_sheet(const ModelView& view, const Batch& batch) {
  MaskPlan plan = view.masks(batch);
  plan.n_thrown = 0;
  return reconstruction_sheet(view.model, batch.pixels, plan, view.loader.normalisation,
                              text_of(view, batch));
}

// As a file, and for TensorBoard.
void draw_masks(const ModelView& view, std::optional<EventWriter>& events) {
  const std::string& strategy = view.options.mask.strategy;
  const bool guided = strategy == "random" || strategy == "self_guided";
  // Inside an epoch its figures of masks are being counted, and plans count.
  if (!guided && (view.info.step > 0 || view.info.epoch == 0)) return;
  const Batch batch = sample_images(view);
  if (batch.size() == 0) return;
  std::string epoch = std::to_string(view.info.epoch);
  if (epoch.size() < 4) epoch.insert(0, 4 - epoch.size(), '0');  // names sort as epochs do
  const auto path = view.folder.root / "figures" / ("masks_after_epoch_" + epoch + ".png");
  fs::create_directories(path.parent_path());
  const Image sheet = guided ? guidance_sheet(view, batch) : strategy_sheet(view, batch);
  write_png(path, sheet);
  info("picture: ", path.string());
  // Not beside the engine's events: of a folder that grows, readers only follow the last file.
  if (!events)
    events.emplace(
        (view.options.log_dir.empty() ? view.folder.root : fs::path(view.options.log_dir)) /
        "figures");
  const std::int64_t x = 1000 * view.info.epoch;  // as the engine counts
  events->begin_again(x);                         // a picture that is drawn again takes its place
  events->image("masks", encode_png(sgmae::view(sheet)), sheet.width, sheet.height, sheet.channels,
                x);
}

// Neither a picture nor a page that cannot be written makes the training a failure.
void draw_masks_if_possible(const ModelView& view, std::optional<EventWriter>& events) {
  try {
    draw_masks(view, events);
  } catch (const Error& error) {
    warn_once(str("no picture of masks: ", error.what()));
  }
}

// The recipe whose number of images is the nearest, on a scale of ratios.
std::string photos_recipe(std::int64_t images) {
  return images < 3'162     ? "photos_1k"
         : images < 31'623  ? "photos_10k"
         : images < 316'228 ? "photos_100k"
                            : "photos_1m";
}

// Where nothing says which model to train, the run that is there goes on as it was begun, and a new
// one is by the recipe that fits the number of images.
std::vector<std::string> left_open(const PretrainOptions& options) {
  if (auto resumed = resumed_run(options); !resumed.empty()) return resumed;
  std::error_code unreadable;  // the command says what is wrong with it
  if (options.names_model() || !std::filesystem::exists(options.data_path, unreadable)) return {};
  options.check();
  const std::filesystem::path config =
      std::filesystem::path(options.output_dir.empty() ? own_folder(options.data_path)
                                                       : options.output_dir) /
      "config.toml";
  if (std::filesystem::exists(config))
    return {"--config", std::filesystem::absolute(config).string()};
  const auto source =
      open_source(options.data_path, "train", options.data_root, options.data_format);
  const std::string recipe = photos_recipe(source->size());
  info("no model is named: by the recipe ", recipe, " for ", source->size(),
       " images (sgmae recipes show ", recipe, "; --model or --config names another)");
  return {"--config", recipe};
}

nlohmann::ordered_json run_pretrain(const PretrainOptions& options) {
  PretrainHooks hooks;
  std::optional<EventWriter> events;
  hooks.after_save = [&](const ModelView& view, const fs::path&) {
    draw_masks_if_possible(view, events);
  };
  const PretrainResult result = pretrain(options, hooks);
  info("encoder: ", result.checkpoint.string());
  if (options.method == PretrainMethod::mae)
    info("pictures: ", (result.folder / "figures").string());
  report_on(result.folder);
  return to_json(result);
}

}  // namespace

Command pretrain_command() {
  const auto options = std::make_shared<PretrainOptions>();
  Command command;
  options->declare(command.options);
  command.takes_recipe = true;
  command.launch = &options->launch;
  command.leading = [options] { return left_open(*options); };
  command.run = [options](const std::vector<std::string>&) { return run_pretrain(*options); };
  return command;
}

}  // namespace sgmae
