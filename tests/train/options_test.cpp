// Oracle: MAE's own command lines and its rule lr = blr * effective batch / 256.
#include "sgmae/train/options.h"

#include <gtest/gtest.h>

namespace sgmae {
namespace {

PretrainOptions valid() {
  PretrainOptions options;
  options.data_path = "images";
  return options;
}

std::string complaint(const PretrainOptions& options) {
  try {
    check_options(options);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    return error.what();
  }
  return "";
}

TEST(PretrainOptions, DefaultsPassOnceThereIsData) {
  EXPECT_EQ(complaint(valid()), "");
  EXPECT_NE(complaint(PretrainOptions()).find("--data_path"), std::string::npos);
}

TEST(PretrainOptions, TakesTheLineOfMaeSInstructions) {
  PretrainOptions options;
  Options declared;
  options.declare(declared);
  for (const auto& [key, text] :
       std::vector<std::pair<std::string, std::string>>{{"job_dir", "out"},
                                                        {"nodes", "8"},
                                                        {"use_volta32", "true"},
                                                        {"batch_size", "64"},
                                                        {"model", "mae_vit_large_patch16"},
                                                        {"norm_pix_loss", "true"},
                                                        {"mask_ratio", "0.75"},
                                                        {"epochs", "800"},
                                                        {"warmup_epochs", "40"},
                                                        {"blr", "1.5e-4"},
                                                        {"weight_decay", "0.05"},
                                                        {"data-path", "images"},
                                                        {"accum_iter", "64"}})
    declared.set(key, text, "--" + key);
  EXPECT_EQ(complaint(options), "");
  EXPECT_DOUBLE_EQ(peak_lr(options), 2.4e-3);
  EXPECT_TRUE(options.norm_pix_loss);
}

TEST(PretrainOptions, AbsoluteLearningRateWins) {
  PretrainOptions options = valid();
  options.lr = 5e-4;
  EXPECT_EQ(peak_lr(options), 5e-4);
}

TEST(PretrainOptions, ResolvedConfigurationReadsBack) {
  PretrainOptions options = valid(), copy;
  options.mask_strategy = MaskStrategyKind::self_guided;
  options.guide_start = "auto";
  options.blr = 1.5e-4;
  Options declared, read;
  options.declare(declared);
  copy.declare(read);
  read.load_toml(declared.to_toml(), "config.toml");
  EXPECT_EQ(read.to_toml(), declared.to_toml());
  EXPECT_EQ(copy.mask_strategy, MaskStrategyKind::self_guided);
}

TEST(PretrainOptions, GuideStart) {
  PretrainOptions options = valid();
  EXPECT_EQ(guide_start(options).epoch, 50) << "400 / 8, as in the paper";
  options.guide_start = "7";
  EXPECT_EQ(guide_start(options).epoch, 7);
  options.guide_start = "auto";
  EXPECT_TRUE(guide_start(options).automatic);
  for (const char* wrong : {"soon", "-1", "3.5", "7x"}) {
    options.guide_start = wrong;
    EXPECT_NE(complaint(options).find(wrong), std::string::npos);
  }
}

TEST(PretrainOptions, RefusesWhatNoRunCouldHave) {
  const auto with = [](auto&& change) {
    PretrainOptions options = valid();
    change(options);
    return complaint(options);
  };
  EXPECT_NE(with([](auto& o) { o.batch_size = 0; }), "");
  EXPECT_NE(with([](auto& o) { o.accum_iter = 0; }), "");
  EXPECT_NE(with([](auto& o) { o.epochs = 0; }), "");
  EXPECT_NE(with([](auto& o) { o.mask_ratio = 1; }), "");
  EXPECT_NE(with([](auto& o) { o.mask_ratio = 0; }), "");
  EXPECT_NE(with([](auto& o) { o.blr = 0; }), "");
  EXPECT_NE(with([](auto& o) { o.min_lr = 1; }), "");
  EXPECT_NE(with([](auto& o) { o.start_epoch = 400; }), "");
  EXPECT_NE(with([](auto& o) { o.save_every = 0; }), "");
  EXPECT_NE(with([](auto& o) {
              o.mask_strategy = MaskStrategyKind::self_guided;
              o.guide_start = "auto";
              o.probe_images = 0;
            }),
            "");
}

TEST(PretrainOptions, ModelSizesOverrideTheName) {
  PretrainOptions options = valid();
  options.model = "mae_vit_base_patch16";
  options.input_size = 64;
  options.input_width = 96;
  options.patch_size = 8;
  options.dim = 192;
  options.depth = 8;
  options.heads = 3;
  options.decoder_dim = 96;
  const MaeConfig config = model_config(options, 1);
  EXPECT_EQ(config.height, 64);
  EXPECT_EQ(config.width, 96);
  EXPECT_EQ(config.channels, 1);
  EXPECT_EQ(config.n_patches(), 8 * 12);
  EXPECT_EQ(config.encoder.dim, 192);
  EXPECT_EQ(config.decoder.dim, 96);
  EXPECT_EQ(config.decoder.depth, 8) << "untouched sizes stay those of the name";
  options.patch_size = 7;
  EXPECT_THROW(model_config(options, 1), Error) << "7 does not divide 64";
}

}  // namespace
}  // namespace sgmae
