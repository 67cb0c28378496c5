#include "sgmae/tasks/pretrain_options.h"

#include "sgmae/parallel/process_group.h"

namespace sgmae {

PretrainOptions::PretrainOptions() {
  num_workers = 10;
  outlier_z = 6;
  eval_every = 0;
  save_every = 20;
  keep_checkpoints = 0;
}

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

  DataOptions::declare(
      o, "folder of images, list file, tar archives, packed data set … (docs/data.md)");
  OptimOptions::declare(o, "of AdamW; biases and norms are exempt");
  MemoryOptions::declare(o);
  mask.declare(o);
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
  need(start_epoch >= 0 && start_epoch < epochs,
       str("start_epoch must be in 0 .. ", epochs - 1, ", but is ", start_epoch));
  need(probe_images >= 0, str("probe_images must not be negative, but is ", probe_images));
  mask.check(/*probed=*/probe_images > 0);
  RunOptions::check();
  ComputeOptions::check();
  launch.check(accum_iter, processes().size());
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

}  // namespace sgmae
