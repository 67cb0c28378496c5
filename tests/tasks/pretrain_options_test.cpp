// Oracle: MAE's own command lines and its rule lr = blr * effective batch / 256.
#include "sgmae/tasks/pretrain_options.h"

#include <gtest/gtest.h>

#include "sgmae/base/file.h"
#include "sgmae/mask/self_guided.h"
#include "tests/support/temporary_folder.h"

namespace sgmae {
namespace {

PretrainOptions valid() {
  PretrainOptions options;
  options.data_path = "images";
  return options;
}

std::string complaint(const PretrainOptions& options) {
  try {
    options.check();
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
                                                        {"data-path", "images"}})
    declared.set(key, text, "--" + key);
  EXPECT_EQ(complaint(options), "");
  options = settled(options);
  EXPECT_EQ(options.images_per_step(), 4096) << "8 machines with 8 GPUs";
  EXPECT_EQ(options.input_size, 224);
  EXPECT_EQ(options.output_dir, "out");
  EXPECT_DOUBLE_EQ(peak_lr(options), 2.4e-3);
  EXPECT_TRUE(options.norm_pix_loss);
}

// Files and lines of older versions: other names of an option, and options that have moved.
TEST(PretrainOptions, TakesOlderSpellings) {
  PretrainOptions options;
  Options declared;
  options.declare(declared);
  declared.load_toml(
      "[data]\npin_mem = false\n[run]\noutput_dir = \"a\"\njob_dir = \"\"\nknn_every = 5\n"
      "online_knn_every = 0\nnodes = 2\n",
      "config.toml");
  EXPECT_EQ(options.output_dir, "a") << "the option's own name counts";
  EXPECT_EQ(options.eval_every, 5);
  EXPECT_EQ(options.launch.nodes, 2);
  EXPECT_FALSE(options.pin_mem);
  declared.set("online_knn_every", "7", "--online_knn_every");
  declared.set("job_dir", "b", "--job_dir");
  EXPECT_EQ(options.eval_every, 7);
  EXPECT_EQ(options.output_dir, "b");
}

TEST(PretrainOptions, TheWarmUpFitsTheRun) {
  PretrainOptions options = valid();
  EXPECT_EQ(options.warmup(), 40) << "of 400 epochs, as published";
  options.epochs = 800;
  EXPECT_EQ(options.warmup(), 40);
  options.epochs = 50;
  EXPECT_EQ(options.warmup(), 5);
  options = settled(options);
  EXPECT_EQ(options.warmup_epochs, 5) << "as config.toml says it";
  EXPECT_EQ(options.output_dir, "runs/images");
  options.warmup_epochs = 0;
  EXPECT_EQ(options.warmup(), 0);
}

TEST(PretrainOptions, FoldersOfRunsThatAreNotToldWhere) {
  EXPECT_EQ(own_folder("data/photos/"), "runs/photos");
  EXPECT_EQ(own_folder("photos/train.txt"), "runs/photos");
  EXPECT_EQ(own_folder("photos.tar"), "runs/photos");
  EXPECT_EQ(own_folder("."), "runs/pretrain");
  const TemporaryFolder folder;
  const auto run = folder.root() / "first";
  std::filesystem::create_directories(run / "checkpoints");
  EXPECT_EQ(evaluation_folder("", run, "linprobe"), "runs/linprobe") << "no run yet";
  write_file(run / "config.toml", "");
  write_file(run / "checkpoints/epoch-0001.safetensors", "");
  for (const auto& checkpoint : {run, run / "", run / "checkpoints/epoch-0001.safetensors"})
    EXPECT_EQ(evaluation_folder("", checkpoint, "linprobe"), (run / "linprobe").string());
  EXPECT_EQ(evaluation_folder("", "", "finetune"), "runs/finetune");
}

TEST(PretrainOptions, AbsoluteLearningRateWins) {
  PretrainOptions options = valid();
  options.lr = 5e-4;
  EXPECT_EQ(peak_lr(options), 5e-4);
}

TEST(PretrainOptions, ResolvedConfigurationReadsBack) {
  PretrainOptions options = valid(), copy;
  options.mask.strategy = "self_guided";
  options.mask.of<SelfGuidedOptions>().guide_start = "auto";
  options.blr = 1.5e-4;
  Options declared, read;
  options.declare(declared);
  copy.declare(read);
  read.load_toml(declared.to_toml(), "config.toml");
  EXPECT_EQ(read.to_toml(), declared.to_toml());
  EXPECT_EQ(copy.mask.strategy, "self_guided");
}

TEST(PretrainOptions, GuideStart) {
  PretrainOptions options = valid();
  options.mask.strategy = "self_guided";
  EXPECT_EQ(options.mask.of<SelfGuidedOptions>().start(400).epoch, 50)
      << "400 / 8, as in the paper";
  options.mask.of<SelfGuidedOptions>().guide_start = "7";
  EXPECT_EQ(options.mask.of<SelfGuidedOptions>().start(400).epoch, 7);
  options.mask.of<SelfGuidedOptions>().guide_start = "auto";
  EXPECT_TRUE(options.mask.of<SelfGuidedOptions>().start(400).automatic);
  for (const char* wrong : {"soon", "-1", "3.5", "7x"}) {
    options.mask.of<SelfGuidedOptions>().guide_start = wrong;
    EXPECT_NE(complaint(options).find(wrong), std::string::npos);
  }
  options.mask.of<SelfGuidedOptions>().guide_start = "";
  EXPECT_EQ(options.mask.of<SelfGuidedOptions>().start(4).epoch, 1)
      << "never from a network that is not trained";
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
  EXPECT_NE(with([](auto& o) { o.mask.ratio = 1; }), "");
  EXPECT_NE(with([](auto& o) { o.mask.ratio = 0; }), "");
  EXPECT_NE(with([](auto& o) { o.blr = 0; }), "");
  EXPECT_NE(with([](auto& o) { o.lr = 1e300; }), "") << "no fp32 number";
  EXPECT_NE(with([](auto& o) { o.min_lr = 1; }), "");
  EXPECT_NE(with([](auto& o) { o.start_epoch = 400; }), "");
  EXPECT_NE(with([](auto& o) { o.save_every = 0; }), "");
  EXPECT_NE(with([](auto& o) {
              o.mask.strategy = "self_guided";
              o.mask.template of<SelfGuidedOptions>().guide_start = "auto";
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
