// What a strategy is made for, small: 96 images and a model of 4 x 4 patches.
#pragma once

#include <ATen/ops/arange.h>
#include <ATen/ops/sort.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "sgmae/base/log.h"
#include "sgmae/data/loader.h"
#include "sgmae/mask/strategy.h"
#include "sgmae/tasks/pretrain_options.h"
#include "tests/support/temporary_folder.h"
#include "tests/tasks/tiny_run.h"

namespace sgmae {

class TinyContext {
 public:
  static constexpr std::int64_t patches = 16, visible = 4, seed = 3;

  TinyContext() {
    set_log_quiet(true);
    tiny::write_images(folder_.root() / "data");
    options_ = tiny::options(folder_.root() / "data", folder_.root() / "run");
    source_ = open_source(options_.data_path);
    model_ = std::make_unique<Mae>(model_config(options_, 1), 1);
    std::filesystem::create_directories(run().maps());
  }

  std::filesystem::path path(const std::string& name) const { return folder_.root() / name; }
  RunFolder run() const { return {options_.output_dir}; }
  Mae& model() { return *model_; }
  const Source& source() const { return *source_; }

  MaskContext context(std::int64_t epochs = 40) const {
    return {.model = *model_,
            .source = *source_,
            .loader = loader(),
            .folder = run(),
            .epochs = epochs,
            .seed = seed,
            .optim = {},
            .compute = options_};
  }

  // The images of a batch of `epoch`, cropped and flipped.
  Batch batch(std::int64_t epoch) const {
    Loader images(*source_, loader());
    images.start_epoch(epoch);
    Batch batch;
    SGMAE_ASSERT(images.next(batch));
    return batch;
  }

 private:
  LoaderOptions loader() const {
    LoaderOptions o;
    o.batch_size = 24;
    o.num_workers = 0;
    o.height = o.width = tiny::side;
    o.channels = 1;
    o.seed = seed;
    return o;
  }

  const TemporaryFolder folder_;
  PretrainOptions options_;
  std::unique_ptr<Source> source_;
  std::unique_ptr<Mae> model_;
};

// As a training state comes back from its file.
inline void restore(MaskStrategy& to, const TaskState& state) {
  to.restore(nlohmann::json::parse(state.json.dump()), {state.tensors, {}});
}

// Each order holds every patch once; n_visible stay.
inline void expect_whole(const MaskPlan& plan, std::int64_t n_patches, std::int64_t n_visible) {
  EXPECT_EQ(plan.n_visible, n_visible);
  EXPECT_EQ(plan.n_thrown, 0);
  EXPECT_TRUE(std::get<0>(plan.order.sort(1)).eq(at::arange(n_patches)).all().item<bool>());
}

}  // namespace sgmae
