// The options of `sgmae pretrain`. Names, meanings and defaults are MAE's own where MAE has the
// option; what MAE does not have stands beside them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "sgmae/base/options.h"
#include "sgmae/checkpoint/model_file.h"
#include "sgmae/data/options.h"
#include "sgmae/mask/registry.h"
#include "sgmae/nn/config.h"
#include "sgmae/parallel/launch_options.h"
#include "sgmae/train/compute.h"
#include "sgmae/train/options.h"

namespace sgmae {

enum class PretrainMethod { mae, moco_v3 };

// Section [moco]: of MoCo v3 (contrast/moco.h), with its published values.
struct MocoOptions {
  double crop_min = 0.08;                  // smallest share of an image's area in a crop
  double blur_max = 2;                     // largest sigma of a view's blur, in pixels
  std::int64_t mlp_dim = 4096, dim = 256;  // of the heads: hidden, and out
  double temperature = 0.2;
  double momentum = 0.99;  // of the key network, at first; rises to 1
  bool stop_grad_conv1 = true;
};

struct PretrainOptions : DataOptions, OptimOptions, MemoryOptions, RunOptions, ComputeOptions {
  // [model]
  PretrainMethod method = PretrainMethod::mae;
  std::string model;  // any name that named_config() knows; "": init's, else MAE's default, ViT-L
  std::string init;   // run folder or model file of any family to begin from; "": drawn weights
  std::int64_t input_size = 0;  // height and width of the training crops; 0: init's, else 224
  std::int64_t input_height = 0, input_width = 0;  // 0: input_size
  std::int64_t channels = 0;                       // 0: what the data set has
  std::int64_t patch_size = 0;                     // 0, here and below: as the model name says
  std::int64_t dim = 0, depth = 0;
  std::int64_t heads = 0;  // with init: where its file does not say
  std::int64_t decoder_dim = 0, decoder_depth = 0, decoder_heads = 0;
  bool norm_pix_loss = false;

  MaskOptions mask;
  MocoOptions moco;

  // [data]: file of `data stats --save`; "": by what the images are (docs/channels.md)
  std::string normalisation;

  std::int64_t start_epoch = 0;
  std::int64_t probe_images = 256;  // for the exploitation rate; 0: not measured

  bool cuda_graphs = true;  // nn/step_graph.h

  // Whether anything says which model to train; else the command looks for a recipe that fits.
  bool names_model() const;

  LaunchOptions launch;

  PretrainOptions();
  void declare(Options& options);
  // Throws Error(usage) for values that no run could have.
  void check() const;

 private:
  void check_method() const;
};

// With what a line leaves open filled in (tasks/settle.h): MAE's default model and its image size
// too, where nothing is begun from.
PretrainOptions settled(PretrainOptions options);

// The file that the options name to begin from, if any. Throws Error where it cannot be read.
std::optional<ModelFile> read_init(const PretrainOptions& options);

// Sizes of the model that the options describe, `init` being the file that they name, if any;
// `data_channels` is used where `channels` is 0. Throws Error(usage) where sizes do not fit.
MaeConfig model_config(const PretrainOptions& options, std::int64_t data_channels,
                       const ModelFile* init = nullptr);

}  // namespace sgmae
