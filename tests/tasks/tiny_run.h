// A data set and a model small enough for whole runs in a test.
#pragma once

#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "sgmae/base/file.h"
#include "sgmae/base/rng.h"
#include "sgmae/mask/self_guided.h"
#include "sgmae/tasks/pretrain_options.h"
#include "tests/support/idx.h"

namespace sgmae::tiny {

inline constexpr int images = 96, side = 16;

// A folder with one IDX file of grey images: a bright disc somewhere on a slanted ramp.
inline void write_images(const std::filesystem::path& folder) {
  std::vector<std::uint8_t> pixels;
  for (int i = 0; i < images; ++i) {
    Rng rng(5, 0, static_cast<std::uint64_t>(i), Purpose::probe);
    const double x = rng.uniform(3, 13), y = rng.uniform(3, 13), r = rng.uniform(2, 5);
    for (int row = 0; row < side; ++row)
      for (int column = 0; column < side; ++column) {
        const bool inside = std::hypot(column - x, row - y) < r;
        const std::int64_t ramp = 3 * row + 2 * column + rng.below(20);
        pixels.push_back(static_cast<std::uint8_t>(inside ? 200 + rng.below(40) : ramp));
      }
  }
  std::filesystem::create_directories(folder);
  write_file(folder / "train-images-idx3-ubyte", idx({images, side, side}, pixels));
}

// The options of self-guided masks.
inline SelfGuidedOptions& guided(PretrainOptions& options) {
  return options.mask.of<SelfGuidedOptions>();
}

// Four epochs of six steps; guidance from epoch 2.
inline PretrainOptions options(const std::filesystem::path& data,
                               const std::filesystem::path& run) {
  PretrainOptions o;
  o.data_path = data.string();
  o.output_dir = run.string();
  o.model = "mae_vit_tiny_patch4";
  o.input_size = side;
  o.dim = 32, o.depth = 2, o.heads = 2;
  o.decoder_dim = 16, o.decoder_depth = 1, o.decoder_heads = 2;
  o.norm_pix_loss = true;
  o.batch_size = 8, o.accum_iter = 2;
  o.epochs = 4, o.warmup_epochs = 1, o.blr = 0.02;
  o.mask.strategy = "self_guided";
  guided(o).guide_start = "2";
  o.num_workers = 1;
  o.precision = PrecisionChoice::fp32;
  o.probe_images = 16;
  o.threads = 1;  // work this small only suffers from more
  o.seed = 3;
  return o;
}

}  // namespace sgmae::tiny
