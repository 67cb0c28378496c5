// A folder for one test, and a small run in it.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "sgmae/image/encode.h"

#include "tests/support/temporary_folder.h"

namespace sgmae {

class RunFolderTest : public testing::Test {
 protected:
  void write(const std::string& file, const std::string& text) const { folder_.write(file, text); }

  void picture(const std::string& file, int side = 4) const {
    std::filesystem::create_directories((root_ / file).parent_path());
    write_png(root_ / file,
              Image{side, side, 1,
                    std::vector<std::uint8_t>(static_cast<std::size_t>(side * side), 128)});
  }

  // Four epochs, self-guided from epoch 2.
  void make_run(const std::string& name) const {
    write(name + "/config.toml",
          "[model]\nmodel = \"mae_vit_tiny_patch4\"\ninput_size = 28\n\n[data]\n"
          "data_path = \"a <b> & 'c'\"\n\n[optim]\nepochs = 4\nblr = 0.002\n\n[mask]\n"
          "mask_ratio = 0.75\nmask_strategy = \"self_guided\"\nguide_start = \"2\"\n\n[run]\n"
          "output_dir = \"there\"\nseed = 3\n");
    write(name + "/env.json",
          R"({"sgmae": "0.1.0", "threads": 2, "precision": "bf16", "processor": "<cpu>"})");
    std::string log;
    for (int epoch = 0; epoch < 4; ++epoch)
      log +=
          str(R"({"train_loss":)", 1.0 / (epoch + 1), R"(,"train_lr":0.001,"epoch":)", epoch,
              R"(,"img_per_s":)", 100 * (epoch + 1), R"(,"tflop_per_s":0.5,"data_wait_frac":0.25)",
              R"(,"skipped_steps":)", epoch / 3, R"(,"unreadable_images":1,"mask_R_V":0.25,)",
              R"("mask_R_M":0.75,"mask_R_M_layers":[0.7,0.75])",
              epoch >= 2 ? R"(,"guide_start":2)" : "", "}\n");
    write(name + "/log.txt", log);
    write(name + "/train.log",
          "model: 28x28x1 images\ndata: 60 images; 6 steps of 10 images per epoch\n"
          "Epoch: [0]  [0/6]\nguidance began at epoch 2 because guide_start is 2\n"
          "resumed from x: epoch 1, step 0\n"
          "warning: epoch 3, step 1 skipped: loss nan, gradient norm 1\n"
          "warning: 8 bad steps in a row at epoch 3, step 9: rolling back to c and going on\n"
          "resumed from c: epoch 2, step 0\n");
  }

  const TemporaryFolder folder_;
  const std::filesystem::path root_ = folder_.root();
};

}  // namespace sgmae
