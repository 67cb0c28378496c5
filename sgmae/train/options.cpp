#include "sgmae/train/options.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>

#include "sgmae/base/log.h"
#include "sgmae/optim/schedule.h"

namespace sgmae {

void PretrainOptions::declare(Options& o) {
  o.section("model");
  o.add("model", model,
        "mae_vit_{tiny,small,base,large,huge}_patchN; other spellings are understood");
  o.add("input_size", input_size, "height and width of the training crops, in pixels");
  o.add("input_height", input_height, "height alone; 0: input_size");
  o.add("input_width", input_width, "width alone; 0: input_size");
  o.add("channels", channels, "colour channels; 0: those of the data set");
  o.add("patch_size", patch_size, "side of a patch in pixels; 0: by the model's name");
  o.add("dim", dim, "encoder width; 0: by the model's name");
  o.add("depth", depth, "encoder blocks; 0: by the model's name");
  o.add("heads", heads, "encoder attention heads; 0: by the model's name");
  o.add("decoder_dim", decoder_dim, "decoder width; 0: by the model's name");
  o.add("decoder_depth", decoder_depth, "decoder blocks; 0: by the model's name");
  o.add("decoder_heads", decoder_heads, "decoder attention heads; 0: by the model's name");
  o.add("norm_pix_loss", norm_pix_loss, "reconstruct pixels normalised within their patch");

  o.section("data");
  o.add("data_path", data_path,
        "folder of images, list file, tar archives, packed data set … (docs/data.md)");
  declare_data_format(o, data_format);
  o.add("data_root", data_root,
        "what paths in a list file are relative to; empty: the list's folder");
  o.add("num_workers", num_workers, "threads that decode images; 0: decode in the training thread");
  o.add("pin_mem", pin_mem, "hold batches in memory that a GPU copies from directly");

  o.section("optim");
  o.add("batch_size", batch_size, "images per forward pass");
  o.add("accum_iter", accum_iter, "forward passes per step; the effective batch is the product");
  o.add("epochs", epochs, "passes over the data");
  o.add("warmup_epochs", warmup_epochs, "epochs of linearly rising learning rate");
  o.add("blr", blr, "base learning rate: lr = blr * effective batch / 256");
  o.add("lr", lr, "learning rate after the warm-up; 0: from blr");
  o.add("min_lr", min_lr, "learning rate at the end");
  o.add("weight_decay", weight_decay, "of AdamW; biases and norms are exempt");
  o.add("clip_grad", clip_grad, "largest gradient norm; 0: gradients are not clipped");

  o.section("mask");
  o.add("mask_ratio", mask_ratio, "share of patches that the encoder does not see");
  o.add("mask_strategy", mask_strategy,
        {{"random", MaskStrategyKind::random}, {"self_guided", MaskStrategyKind::self_guided}},
        "random: plain MAE; self_guided: masks from the model's own patch clusters");
  o.add(
      "guide_start", guide_start,
      "first epoch (from 0) of informed masks; auto: by the exploitation rate; empty: epochs / 8");
  declare_guide(o, guide);
  o.add("guide_target", guide_target,
        {{"object", GuideTarget::object},
         {"background", GuideTarget::background},
         {"alternate", GuideTarget::alternate}},
        "cluster to hide; alternate: object and background by turns, epoch by epoch");
  o.add("hint_ratio", hints.ratio,
        "hint patches at the start of guidance, as a share of all patches");
  o.add("hint_strategy", hints.strategy,
        {{"random", HintStrategy::random},
         {"similarity", HintStrategy::similarity},
         {"none", HintStrategy::none}},
        "how hints are drawn from the patches to be masked");
  o.add("hint_decay", hints.decay,
        {{"none", HintDecay::none},
         {"linear", HintDecay::linear},
         {"cosine", HintDecay::cosine},
         {"quadratic", HintDecay::quadratic}},
        "law by which the hint ratio falls to the end of the run");
  o.add("hint_floor", hints.floor, "hint patches that stay to the end");
  o.add("mask_source", mask_source,
        {{"stored", MaskSource::stored}, {"online", MaskSource::online}},
        "stored: relevance maps made in one pass; online: from the present model at every step");
  o.add("mask_refresh_epochs", mask_refresh_epochs,
        "epochs between new stored maps; 0: made once (paper)");

  o.section("run");
  o.add("output_dir", output_dir, "run folder: configuration, logs, checkpoints, maps, figures");
  o.add("job_dir", job_dir, "output_dir, as MAE's submitit script calls it");
  o.add("log_dir", log_dir, "folder of TensorBoard events; empty: the run folder");
  o.add("resume", resume,
        "auto: go on where output_dir stopped; none: only start anew; or a checkpoint file to "
        "begin from when output_dir holds none yet");
  o.add("start_epoch", start_epoch, "epoch to begin with when nothing is resumed");
  o.add("seed", seed, "of every random draw");
  declare_compute(o, device, threads, precision);
  o.add("save_every", save_every, "epochs between checkpoints; the last epoch is always saved");
  o.add("keep_checkpoints", keep_checkpoints, "newest checkpoints to keep; 0: all");
  o.add("log_every", log_every, "steps between console lines");
  o.add("probe_images", probe_images,
        "images on which the exploitation rate is measured; 0: never");
  o.add("outlier_z", outlier_z,
        "steps whose loss or gradient norm lies this many deviations above its recent values are "
        "skipped; 0: only non-finite ones");
  o.add("knn_every", knn_every,
        "epochs between k-NN tests on the data set's own test part, and one before training; 0: "
        "never");
  o.add("online_knn_every", online_knn_every, "knn_every by its longer name");
  launch.declare(o);
}

MaeConfig model_config(const PretrainOptions& o, std::int64_t data_channels) {
  MaeConfig config = named_config(o.model);
  const auto override_with = [](std::int64_t& size, std::int64_t value) {
    if (value != 0) size = value;
  };
  config.height = o.input_height ? o.input_height : o.input_size;
  config.width = o.input_width ? o.input_width : o.input_size;
  config.channels = o.channels ? o.channels : data_channels;
  override_with(config.patch_size, o.patch_size);
  override_with(config.encoder.dim, o.dim);
  override_with(config.encoder.depth, o.depth);
  override_with(config.encoder.heads, o.heads);
  override_with(config.decoder.dim, o.decoder_dim);
  override_with(config.decoder.depth, o.decoder_depth);
  override_with(config.decoder.heads, o.decoder_heads);
  config.norm_pix_loss = o.norm_pix_loss;
  check_config(config);
  return config;
}

double peak_lr(const PretrainOptions& o) {
  return peak_lr(o.lr, o.blr, o.batch_size * o.accum_iter);
}

GuideStart guide_start(const PretrainOptions& o) {
  if (o.guide_start == "auto") return {.automatic = true};
  if (o.guide_start.empty()) return {.epoch = o.epochs / 8};
  char* end = nullptr;
  const long epoch = std::strtol(o.guide_start.c_str(), &end, 10);
  check(*end == '\0' && epoch >= 0, ExitCode::usage, "guide_start: '", o.guide_start,
        "' is neither an epoch (from 0) nor auto");
  return {.epoch = epoch};
}

bool may_change_on_resume(const std::string& name) {
  static const std::set<std::string> names{
      "data_path",  "data_format", "data_root", "num_workers",      "pin_mem",         "output_dir",
      "job_dir",    "log_dir",     "resume",    "device",           "precision",       "threads",
      "save_every", "log_every",   "knn_every", "online_knn_every", "keep_checkpoints"};
  return names.count(name) > 0 || is_launch_option(name);
}

void check_options(const PretrainOptions& o) {
  const auto need = [](bool fits, const std::string& message) {
    check(fits, ExitCode::usage, message);
  };
  need(!o.data_path.empty(), "data_path is missing; name a folder of images: --data_path FOLDER");
  need(!o.output_dir.empty(),
       "output_dir is empty; name a folder for the run: --output_dir FOLDER");
  need(o.batch_size >= 1, str("batch_size must be at least 1, not ", o.batch_size));
  need(o.accum_iter >= 1, str("accum_iter must be at least 1, not ", o.accum_iter));
  need(o.epochs >= 1, str("epochs must be at least 1, not ", o.epochs));
  need(o.start_epoch >= 0 && o.start_epoch < o.epochs,
       str("start_epoch must lie in 0 .. ", o.epochs - 1, ", not be ", o.start_epoch));
  need(o.warmup_epochs >= 0, str("warmup_epochs must not be negative, but is ", o.warmup_epochs));
  need(std::isfinite(peak_lr(o)) && peak_lr(o) > 0,
       str("the learning rate must be positive, but is ", peak_lr(o), "; set --blr or --lr"));
  need(o.min_lr >= 0 && o.min_lr <= peak_lr(o),
       str("min_lr must lie in 0 .. ", peak_lr(o), " (the peak), not be ", o.min_lr));
  need(o.weight_decay >= 0, str("weight_decay must not be negative, but is ", o.weight_decay));
  need(o.mask_ratio > 0 && o.mask_ratio < 1,
       str("mask_ratio must lie between 0 and 1, not be ", o.mask_ratio));
  need(o.num_workers >= 0, str("num_workers must not be negative, but is ", o.num_workers));
  need(o.threads >= 0, str("threads must not be negative, but is ", o.threads));
  need(o.save_every >= 1, str("save_every must be at least 1, not ", o.save_every));
  need(o.log_every >= 1, str("log_every must be at least 1, not ", o.log_every));
  need(o.keep_checkpoints >= 0,
       str("keep_checkpoints must not be negative, but is ", o.keep_checkpoints));
  need(o.mask_refresh_epochs >= 0,
       str("mask_refresh_epochs must not be negative, but is ", o.mask_refresh_epochs));
  need(o.probe_images >= 0, str("probe_images must not be negative, but is ", o.probe_images));
  need(o.hints.ratio >= 0 && o.hints.ratio < 1,
       str("hint_ratio must lie in 0 .. 1, not be ", o.hints.ratio));
  need(o.hints.floor >= 0, str("hint_floor must not be negative, but is ", o.hints.floor));
  const bool automatic = guide_start(o).automatic;
  need(!(automatic && o.probe_images == 0 && o.mask_strategy == MaskStrategyKind::self_guided),
       "guide_start = auto needs the exploitation rate; set probe_images to 64 or more");
  check_launch(o.launch, o.accum_iter);
}

}  // namespace sgmae
