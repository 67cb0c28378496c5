#include "sgmae/tasks/pretrain_options.h"

#include "sgmae/checkpoint/initial_weights.h"
#include "sgmae/data/kept_source.h"
#include "sgmae/image/contrastive_augment.h"
#include "sgmae/tasks/settle.h"

namespace sgmae {
namespace {

constexpr const char* maes_default = "mae_vit_large_patch16";

}  // namespace

PretrainOptions::PretrainOptions() {
  num_workers = 10;
  outlier_z = 6;
  eval_every = 0;
  save_every = 20;
  keep_checkpoints = 0;
}

void PretrainOptions::declare(Options& o) {
  o.section("model");
  o.add("method", method, {{"mae", PretrainMethod::mae}, {"moco_v3", PretrainMethod::moco_v3}},
        "a masked autoencoder, or contrastive learning without masks");
  o.add("model", model,
        "mae_vit_{tiny,small,base,large,huge}_patchN; other spellings are understood; empty: that "
        "of init, or of the recipe that fits the number of images (docs/guide.md)");
  o.add("init", init,
        "run folder or model file of any family whose weights training begins from; encoder alone, "
        "another grid and other channels will do");
  o.add("input_size", input_size,
        "height and width of the training crops, in pixels; 0: those of init, else 224");
  o.add("input_height", input_height, "height alone; 0: input_size");
  o.add("input_width", input_width, "width alone; 0: input_size");
  o.add("channels", channels, "channels of the images; 0: those of the data set");
  o.add("patch_size", patch_size, "side of a patch in pixels; 0: by the model's name");
  o.add("dim", dim, "encoder width; 0: by the model's name");
  o.add("depth", depth, "encoder blocks; 0: by the model's name");
  o.add("heads", heads, "encoder attention heads; 0: by the model's name, or as init says");
  o.add("decoder_dim", decoder_dim, "decoder width; 0: by the model's name");
  o.add("decoder_depth", decoder_depth, "decoder blocks; 0: by the model's name");
  o.add("decoder_heads", decoder_heads, "decoder attention heads; 0: by the model's name");
  o.add("norm_pix_loss", norm_pix_loss, "reconstruct pixels normalised within their patch");

  DataOptions::declare(
      o, "folder of images, list file, tar archives, packed data set … (docs/data.md)");
  declare_cache(o, *this);
  o.add(
      "normalisation", normalisation,
      "file of mean and deviation by channel, made by sgmae data stats --save; empty: ImageNet's, "
      "of values as stored as measured on some of the training images");
  OptimOptions::declare(o, "of AdamW; biases and norms are exempt, but not with moco_v3");
  MemoryOptions::declare(o);
  mask.declare(o);
  o.section("moco");
  o.add("moco_crop_min", moco.crop_min, "smallest share of an image's area in the crop of a view")
      .alias("crop_min");
  o.add("moco_blur_max", moco.blur_max,
        "largest sigma, in pixels, with which a view is blurred; the published one is for 224 px");
  o.add("moco_mlp_dim", moco.mlp_dim, "width of the hidden layers of projector and predictor");
  o.add("moco_dim", moco.dim, "width of what they give, in which images are compared");
  o.add("moco_temperature", moco.temperature, "temperature of the comparison").alias("moco_t");
  o.add("moco_momentum", moco.momentum,
        "momentum of the key network's moving average at first; rises to 1 as a half cosine")
      .alias("moco_m");
  o.add("moco_stop_grad_conv1", moco.stop_grad_conv1, "leave the patch projection as it was drawn")
      .alias("stop_grad_conv1");
  RunOptions::declare(o, "knn_every",
                      "epochs between k-NN tests on the data set's own test part, and one before "
                      "training; 0: never");
  o.add("start_epoch", start_epoch, "first epoch when nothing is resumed");
  o.add("probe_images", probe_images,
        "images on which the exploitation rate is measured; 0: never");
  ComputeOptions::declare(o);
  o.add("cuda_graphs", cuda_graphs, "on a GPU, a step's forward and backward in one launch")
      .may_change_on_resume();
  launch.declare(o);
}

void PretrainOptions::check() const {
  need(!data_path.empty(), "data_path is missing; name a folder of images: --data_path FOLDER");
  DataOptions::check();
  OptimOptions::check();
  need(init.empty() || method == PretrainMethod::mae,
       "init begins a masked autoencoder from other weights; leave it out with --method moco_v3");
  need(start_epoch >= 0 && start_epoch < epochs,
       str("start_epoch must be in 0 .. ", epochs - 1, ", but is ", start_epoch));
  need(probe_images >= 0, str("probe_images must not be negative, but is ", probe_images));
  mask.check(/*probed=*/probe_images > 0);
  check_method();
  RunOptions::check();
  ComputeOptions::check();
}

void PretrainOptions::check_method() const {
  need(moco.crop_min > 0 && moco.crop_min <= 1,
       str("moco_crop_min must be greater than 0 and at most 1, but is ", moco.crop_min));
  need(moco.blur_max >= ViewOptions().blur_min && moco.blur_max <= 100,
       str("moco_blur_max must be in ", ViewOptions().blur_min, " .. 100 pixels, but is ",
           moco.blur_max));
  for (const auto& [name, size] : {std::pair{"moco_mlp_dim", moco.mlp_dim}, {"moco_dim", moco.dim}})
    need(size >= 1 && size <= largest_count,
         str(name, " must be in 1 .. ", largest_count, ", but is ", size));
  need(moco.temperature > 0, str("moco_temperature must be positive, but is ", moco.temperature));
  need(moco.momentum >= 0 && moco.momentum <= 1,
       str("moco_momentum must be in 0 .. 1, but is ", moco.momentum));
  // An option of the other method would do nothing.
  PretrainOptions here = *this, fresh;
  const Options given = declared(here), defaults = declared(fresh);
  const bool by_moco = method == PretrainMethod::moco_v3;
  const auto of_the_other = [&](const OptionInfo& option) {
    if (!by_moco) return option.section == "moco";
    return option.section == "mask" || option.name.starts_with("decoder_") ||
           option.name == "norm_pix_loss";
  };
  for (std::size_t i = 0; i < given.all().size(); ++i) {
    const OptionInfo& option = given.all()[i];
    need(!of_the_other(option) || option.print() == defaults.all()[i].print(),
         str(option.name, " is an option of --method ", by_moco ? "mae" : "moco_v3",
             ", but method is ", by_moco ? "moco_v3" : "mae", "; leave it out or choose ",
             by_moco ? "mae" : "moco_v3"));
  }
}

bool PretrainOptions::names_model() const {
  return !model.empty() || !init.empty() || patch_size + dim + depth + heads > 0 ||
         method != PretrainMethod::mae;
}

PretrainOptions settled(PretrainOptions o) {
  if (o.init.empty()) {
    if (o.model.empty()) o.model = maes_default;
    if (o.input_size == 0) o.input_size = named_config(o.model).height;
  }
  settle(o, own_folder(o.data_path));
  return o;
}

std::optional<ModelFile> read_init(const PretrainOptions& o) {
  if (o.init.empty()) return std::nullopt;
  return read_model_file(o.init, {.heads = o.heads, .decoder_heads = o.decoder_heads});
}

MaeConfig model_config(const PretrainOptions& o, std::int64_t data_channels,
                       const ModelFile* init) {
  const MaeConfig named = named_config(o.model.empty() ? maes_default : o.model);
  MaeConfig config = init ? autoencoder_of(*init) : named;
  if (init) {
    need(o.patch_size == 0 && o.dim == 0 && o.depth == 0,
         "patch_size, dim and depth are set by init; leave them out");
    need(
        o.model.empty() ||
            (named.encoder.dim == config.encoder.dim &&
             named.encoder.depth == config.encoder.depth && named.patch_size == config.patch_size),
        str(init->path.string(), " is not a ", o.model, ": its encoder is ", config.encoder.dim,
            " x ", config.encoder.depth, " with patch ", config.patch_size, "; leave --model out"));
  }
  const auto override_with = [](std::int64_t& size, std::int64_t value) {
    if (value != 0) size = value;
  };
  override_with(config.height, o.input_height ? o.input_height : o.input_size);
  override_with(config.width, o.input_width ? o.input_width : o.input_size);
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

}  // namespace sgmae
