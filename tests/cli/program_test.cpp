// The built program, run as a user runs it, on images made here: exit codes, messages, files.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "sgmae/base/file.h"
#include "sgmae/base/rng.h"
#include "sgmae/image/encode.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

struct Outcome {
  int code;
  std::string out, err;
};

class Program : public testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::path(testing::TempDir()) / "sgmae_program";
    fs::remove_all(root_);
    fs::create_directories(root_);
  }
  void TearDown() override { fs::remove_all(root_); }

  Outcome run(const std::string& arguments) const {
    const std::string command =
        "cd " + root_.string() + " && " SGMAE_PROGRAM " " + arguments + " 2>err";
    FILE* pipe = popen(command.c_str(), "r");
    Outcome outcome;
    std::array<char, 4096> buffer;
    while (const std::size_t count = fread(buffer.data(), 1, buffer.size(), pipe))
      outcome.out.append(buffer.data(), count);
    outcome.code = WEXITSTATUS(pclose(pipe));
    outcome.err = read_text(root_ / "err");
    return outcome;
  }
  void expect(const std::string& arguments, int code, const std::string& message) const {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, code) << arguments << "\n" << outcome.err;
    EXPECT_NE(outcome.err.find(message), std::string::npos) << outcome.err;
  }

  // Photos stand-in: a bright square on a noisy ground, so that there is something to cut out.
  void make_images(int count) const {
    fs::create_directories(root_ / "images");
    for (int i = 0; i < count; ++i) {
      Rng rng(1, 0, static_cast<std::uint64_t>(i), Purpose::probe);
      Image image{40, 32, 3, std::vector<std::uint8_t>(40 * 32 * 3)};
      const int left = static_cast<int>(rng.below(20)), top = static_cast<int>(rng.below(16));
      for (int y = 0; y < 32; ++y)
        for (int x = 0; x < 40; ++x)
          for (int c = 0; c < 3; ++c) {
            const bool inside = x >= left && x < left + 16 && y >= top && y < top + 12;
            image.pixels[(y * 40 + x) * 3 + c] =
                static_cast<std::uint8_t>((inside ? 200 : 40) + rng.below(40));
          }
      const auto png = encode_png(view(image));
      write_file(root_ / "images" / (std::to_string(i) + ".png"),
                 {reinterpret_cast<const char*>(png.data()), png.size()});
    }
  }

  static constexpr const char* kTiny =
      "pretrain --data_path images --output_dir run --input_size 32 --patch_size 8 --dim 32 "
      "--depth 2 "
      "--heads 2 --decoder_dim 16 --decoder_depth 1 --decoder_heads 2 --batch_size 8 --epochs 4 "
      "--warmup_epochs 1 --lr 1e-3 --norm_pix_loss --num_workers 1 --threads 1 --probe_images 8 "
      "--mask_strategy self_guided --guide_start 2 --json ";
  fs::path root_;
};

TEST_F(Program, SaysWhatItCanDo) {
  const Outcome outcome = run("--help");
  EXPECT_EQ(outcome.code, 0);
  for (const char* command : {"pretrain", "knn", "mask", "reconstruct", "forward", "recipes"})
    EXPECT_NE(outcome.out.find(command), std::string::npos) << command;
  EXPECT_NE(run("pretrain --help").out.find("--mask_ratio"), std::string::npos);
}

TEST_F(Program, WrongUsageIsExitTwoAndTeaches) {
  expect("pretrian", 2, "did you mean 'pretrain'");
  expect("pretrain --mask_ration 0.5", 2, "did you mean 'mask_ratio'");
  expect("pretrain --epochs many", 2, "'many' is not an integer");
  expect("pretrain --config fashion_mnist_mea", 2, "did you mean 'fashion_mnist_mae'");
  expect("pretrain --set mask.mask_ratio", 2, "--set section.key=value");
  make_images(8);
  expect(std::string(kTiny) + "--patch_size 7", 2, "does not divide");
  expect(std::string(kTiny) + "--mask_ratio 0", 2, "mask");
}

TEST_F(Program, ReadsRecipeThenSetThenFlags) {
  // Accepted options reach the data, which is missing; the last word on mask_ratio is the flag's.
  expect("pretrain --data-path=nowhere --set mask.mask-ratio=7 --mask_ratio 0.5 --no_norm_pix_loss",
         3, "nowhere");
  expect("pretrain --mask_ratio 0.5 --set mask.mask_ratio=7 --data_path nowhere", 3, "nowhere");
  expect("pretrain --set mask.mask_ratio=7 --data_path nowhere", 2, "mask_ratio");
  expect("pretrain --output_dir --json", 2, "--output_dir needs a value");
  expect("pretrain --no_epochs", 2, "unknown option");
  expect("pretrain stray", 2, "stray");
}

TEST_F(Program, EveryRecipeFitsTheOptionsAndCanBeCopied) {
  const Outcome list = run("recipes list --json");
  const auto recipes = nlohmann::json::parse(list.out);
  EXPECT_GE(recipes.size(), 10u);
  for (const auto& [name, summary] : recipes.items()) {
    expect("pretrain --data_path nowhere --config " + name, 3, "nowhere");
    EXPECT_FALSE(summary.get<std::string>().empty()) << name;
  }
  expect("recipes copy fashion_mnist_mae mine.toml", 0, "mine.toml");
  EXPECT_EQ(read_text(root_ / "mine.toml"), run("recipes show fashion_mnist_mae").out);
  expect("pretrain --config mine.toml --data_path nowhere", 3, "nowhere");
  write_file(root_ / "bad.toml", "[optim]\nepoch = 3\n");
  expect("pretrain --config bad.toml", 2, "bad.toml:2: unknown option 'optim.epoch'; did you mean");
}

TEST_F(Program, BadDataIsExitThree) {
  expect(std::string(kTiny) + "--data_path nowhere", 3, "nowhere");
  fs::create_directories(root_ / "images");
  expect(kTiny, 3, "images");
  write_file(root_ / "images" / "a.jpg", "this is a text file");
  write_file(root_ / "images" / "b.jpg", "");
  expect(std::string(kTiny) + "--batch_size 2", 3, "");
}

TEST_F(Program, BadCheckpointIsExitFour) {
  make_images(1);
  write_file(root_ / "x.safetensors", "garbage");
  expect("reconstruct images/0.png --checkpoint x.safetensors", 4, "x.safetensors");
  expect("reconstruct images/0.png --checkpoint none.safetensors", 4, "none.safetensors");
}

TEST_F(Program, PretrainsGuidesDrawsAndContinues) {
  make_images(24);
  write_file(root_ / "images" / "broken.png", "not a picture");
  const Outcome outcome = run(kTiny);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto result = nlohmann::json::parse(outcome.out.substr(outcome.out.rfind('{')));
  EXPECT_EQ(result.at("guide_start"), 2);
  EXPECT_NE(outcome.err.find("guidance began at epoch 2"), std::string::npos);
  EXPECT_NE(outcome.err.find("broken.png"), std::string::npos);
  for (const char* file : {"run/config.toml", "run/env.json", "run/log.txt", "run/maps"})
    EXPECT_TRUE(fs::exists(root_ / file)) << file;
  EXPECT_TRUE(fs::exists(root_ / "run/figures/masks_after_epoch_4.png"));

  // A finished run does nothing more; another one is refused its folder.
  EXPECT_EQ(run(kTiny).code, 0);
  expect(std::string(kTiny) + "--mask_ratio 0.5", 2, "");

  EXPECT_EQ(run("mask images/0.png images/1.png --checkpoint run --output m --threads 1").code, 0);
  EXPECT_TRUE(fs::exists(root_ / "m/masks.png"));
  EXPECT_TRUE(fs::exists(root_ / "m/masks.safetensors"));
  const Outcome odd =
      run("reconstruct images/0.png --checkpoint run --output \"$(printf 'r\\377.png')\" --json");
  EXPECT_EQ(odd.code, 0) << odd.err;  // a path that is not UTF-8
  const Outcome drawn = run("reconstruct images/0.png --checkpoint run --output r.png");
  EXPECT_EQ(drawn.code, 0) << drawn.err;
  EXPECT_NE(drawn.err.find("true mean"), std::string::npos);  // says what the picture leaks
}

}  // namespace
}  // namespace sgmae
