// Oracle: MAE's rule lr = blr * effective batch / 256, and its names.
#include "sgmae/train/options.h"

#include <gtest/gtest.h>

namespace sgmae {
namespace {

struct Example : OptimOptions, RunOptions {
  void declare(Options& o) {
    OptimOptions::declare(o, "of AdamW");
    RunOptions::declare(o, "knn_every", "epochs between tests");
  }
  void check() const {
    OptimOptions::check();
    RunOptions::check();
  }
};

TEST(TrainOptions, TheScheduleFollowsTheEffectiveBatch) {
  Example o;
  o.batch_size = 64;
  o.accum_iter = 64;
  o.blr = 1.5e-4;
  o.min_lr = 1e-5;
  EXPECT_DOUBLE_EQ(schedule(o).peak_lr, 2.4e-3);
  EXPECT_EQ(schedule(o).min_lr, 1e-5);
  EXPECT_EQ(schedule(o).epochs, 400);
  o.lr = 1e-3;
  EXPECT_EQ(peak_lr(o), 1e-3);
}

TEST(TrainOptions, AnEvaluationIsKnownByThreeNames) {
  Example o;
  Options declared;
  o.declare(declared);
  for (const char* name : {"knn_every", "eval_every", "online_knn_every"}) {
    o.eval_every = 0;
    declared.set(name, "3", name);
    EXPECT_EQ(o.eval_every, 3) << name;
  }
}

TEST(TrainOptions, OnlyWhatChangesTheResultMustStay) {
  Example there, here;
  const auto difference = [&] {
    return options_difference(declared(there), declared(here),
                              [](const OptionInfo& option) { return option.changeable; });
  };
  here.output_dir = "elsewhere";
  here.save_every = 7;
  EXPECT_EQ(difference(), "");
  here.clip_grad = 1;
  EXPECT_EQ(difference(), "clip_grad is 0.0 there, 1.0 here");
}

TEST(TrainOptions, RefusesWhatNoTrainingCouldHave) {
  EXPECT_NO_THROW(Example().check());
  const auto refused = [](auto change) {
    Example o;
    change(o);
    EXPECT_THROW(o.check(), Error);
  };
  refused([](Example& o) { o.batch_size = 0; });
  refused([](Example& o) { o.accum_iter = 0; });
  refused([](Example& o) { o.epochs = 0; });
  refused([](Example& o) { o.blr = 0; });
  refused([](Example& o) { o.lr = 1e300; });
  refused([](Example& o) { o.lr = -1; });
  refused([](Example& o) { o.blr = -1; });
  refused([](Example& o) { o.batch_size = INT64_MAX; });
  refused([](Example& o) { o.epochs = INT64_MAX; });
  refused([](Example& o) { o.min_lr = 1; });
  refused([](Example& o) { o.weight_decay = -1; });
  refused([](Example& o) { o.clip_grad = -1; });
  refused([](Example& o) { o.save_every = 0; });
  refused([](Example& o) { o.keep_checkpoints = -1; });
  refused([](Example& o) { o.log_every = 0; });
  refused([](Example& o) { o.outlier_z = -1; });
  refused([](Example& o) { o.eval_every = -1; });
}

}  // namespace
}  // namespace sgmae
