// The options of `sgmae pretrain`. Names, meanings and defaults are MAE's own where MAE has the
// option; what MAE does not have stands beside them.
#pragma once

#include <cstdint>
#include <string>

#include "sgmae/base/options.h"
#include "sgmae/data/source.h"
#include "sgmae/mask/options.h"
#include "sgmae/nn/config.h"
#include "sgmae/train/compute.h"
#include "sgmae/train/launch_options.h"

namespace sgmae {

enum class MaskStrategyKind { random, self_guided };

struct PretrainOptions {
  // [model]
  std::string model = "mae_vit_large_patch16";     // any name that named_config() knows
  std::int64_t input_size = 224;                   // height and width of the training crops
  std::int64_t input_height = 0, input_width = 0;  // 0: input_size
  std::int64_t channels = 0;                       // 0: what the data set has (1 or 3)
  std::int64_t patch_size = 0;                     // 0, here and below: as the model name says
  std::int64_t dim = 0, depth = 0, heads = 0;
  std::int64_t decoder_dim = 0, decoder_depth = 0, decoder_heads = 0;
  bool norm_pix_loss = false;

  // [data]
  DataFormat data_format = DataFormat::automatic;
  std::string data_path;  // a folder, file or archive that open_source() knows
  std::string data_root;  // what the paths of a list file are relative to ("": the list's folder)
  int num_workers = 10;   // decoding threads
  bool pin_mem = true;    // batches in page-locked memory, where a GPU trains

  // [optim]
  std::int64_t batch_size = 64;  // images per forward pass
  std::int64_t accum_iter = 1;   // forward passes per step
  std::int64_t epochs = 400;
  double warmup_epochs = 40;
  double blr = 1e-3;  // lr = blr * batch_size * accum_iter / 256
  double lr = 0;      // absolute learning rate; 0: from blr
  double min_lr = 0;
  double weight_decay = 0.05;
  double clip_grad = 0;  // largest gradient norm; 0: no clipping

  // [mask]
  double mask_ratio = 0.75;
  MaskStrategyKind mask_strategy = MaskStrategyKind::random;
  std::string guide_start;  // "": epochs / 8; an epoch (from 0); or "auto"
  GuideTarget guide_target = GuideTarget::object;
  GuideOptions guide;  // guide_part, _layer, _features, _center, _object
  HintOptions hints;   // hint_ratio, hint_strategy, hint_decay, hint_floor
  MaskSource mask_source = MaskSource::stored;
  std::int64_t mask_refresh_epochs = 0;  // 0: maps are made once

  // [run]
  std::string output_dir = "./output_dir";
  std::string job_dir;          // what MAE's submitit script calls output_dir
  std::string log_dir;          // TensorBoard events; "": output_dir
  std::string resume = "auto";  // auto: go on if output_dir holds this run; none; or a checkpoint
  std::int64_t start_epoch = 0;
  std::uint64_t seed = 0;
  std::string device = "cpu";
  PrecisionChoice precision = PrecisionChoice::automatic;
  int threads = 0;                    // 0: one per processor
  std::int64_t save_every = 20;       // epochs between checkpoints
  std::int64_t keep_checkpoints = 0;  // newest ones kept; 0: all
  std::int64_t log_every = 20;        // steps between console lines
  std::int64_t probe_images = 256;    // for the exploitation rate; 0: not measured
  double outlier_z = 6;               // steps this far outside are skipped; 0: only non-finite ones
  std::int64_t knn_every = 0;         // epochs between k-NN tests; 0: never
  std::int64_t online_knn_every = 0;  // knn_every by its longer name

  LaunchOptions launch;

  void declare(Options& options);
};

// Sizes of the model that the options describe; `data_channels` is used where `channels` is 0.
// Throws Error(usage) where sizes do not fit.
MaeConfig model_config(const PretrainOptions& options, std::int64_t data_channels);

// When guidance begins: at `epoch` (from 0), or where the exploitation rate says so.
struct GuideStart {
  bool automatic = false;
  std::int64_t epoch = 0;
};
GuideStart guide_start(const PretrainOptions& options);

// Throws Error(usage) for values that no run could have.
void check_options(const PretrainOptions& options);

// The options that say where a run lives and how fast it goes, not what comes out: these alone may
// differ when a run goes on.
bool may_change_on_resume(const std::string& name);

// lr, or blr * effective batch / 256.
double peak_lr(const PretrainOptions& options);

}  // namespace sgmae
