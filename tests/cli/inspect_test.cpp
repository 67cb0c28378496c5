// What `sgmae inspect` promises of a model is what the commands then do. Oracle: the commands.
#include <ATen/Parallel.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "sgmae/base/rng.h"
#include "sgmae/checkpoint/write_model.h"
#include "sgmae/image/encode.h"
#include "sgmae/io/safetensors.h"
#include "tests/support/program.h"
#include "tests/support/temporary_folder.h"
#include "tests/tiny_mae.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

class Inspect : public testing::Test {
 protected:
  void SetUp() override {
    at::set_num_threads(1);  // run_program_in
    for (const char* part : {"train", "val"})
      for (const char* label : {"a", "b"})
        for (int i = 0; i < 2; ++i) {
          const fs::path folder = root_ / "data" / part / label;
          fs::create_directories(folder);
          Rng rng(1, 0, static_cast<std::uint64_t>(i), Purpose::probe);
          Image image{16, 16, 3, std::vector<std::uint8_t>(16 * 16 * 3)};
          for (std::uint8_t& pixel : image.pixels)
            pixel = static_cast<std::uint8_t>(rng.below(256));
          write_png(folder / (std::to_string(i) + ".png"), image);
        }
  }
  Outcome run(const std::string& arguments) const { return run_program_in(root_, arguments); }

  // Command by command, on the model in m.safetensors.
  std::map<std::string, std::string> commands(std::int64_t channels) const {
    const std::string model = " --checkpoint m.safetensors --threads 1 ";
    const std::string photo = "data/train/a/0.png", data = " --data_path data --num_workers 1 ";
    const std::string train = model + data + "--epochs 1 --warmup_epochs 0 --batch_size 4 ";
    write_safetensors(root_ / "in.safetensors", {{"pixels", at::randn({1, channels, 16, 16})}});
    return {{"embed", "embed " + photo + model + "--output f.npy"},
            {"knn", "knn" + model + data + "--k 1"},
            {"forward", "forward" + model + "--input in.safetensors --output out.safetensors"},
            {"mask", "mask " + photo + model + "--output masks"},
            {"analyze", "analyze" + model + data + "--output_dir analysis --figure_images 0"},
            {"linprobe", "linprobe" + train + "--output_dir probe"},
            {"finetune", "finetune" + train + "--output_dir tuned"},
            {"reconstruct", "reconstruct " + photo + " --checkpoint m.safetensors"},
            {"convert", "convert m.safetensors again.safetensors --to sgmae"}};
  }

  const TemporaryFolder folder_;
  const fs::path root_ = folder_.root();
};

struct Case {
  const char* name;
  std::function<void(VitConfig&)> change;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all{
      {"encoder", [](VitConfig&) {}},
      {"grey", [](VitConfig& c) { c.channels = 1; }},
      {"four channels", [](VitConfig& c) { c.channels = 4; }},
      {"registers", [](VitConfig& c) { c.layer_scale = true, c.registers = 2; }},
      {"mean classifier", [](VitConfig& c) { c.classes = 2, c.pooling = Pooling::mean; }},
      {"probe", [](VitConfig& c) { c.classes = 2, c.batch_norm_head = true; }},
      {"windows", [](VitConfig& c) {
         c.class_token = c.final_norm = false;
         c.attention.assign(2, {1, RelativePosition::decomposed});
       }}};
  return all;
}

void expect_promises_kept(const std::string& name, const Outcome& inspected,
                          const std::map<std::string, std::string>& commands,
                          const std::function<Outcome(const std::string&)>& run) {
  ASSERT_EQ(inspected.code, 0) << name << inspected.err;
  const std::string promises = nlohmann::json::parse(inspected.out)["good_for"].dump();
  for (const auto& [command, line] : commands) {
    const Outcome outcome = run(line);
    EXPECT_EQ(outcome.code == 0, promises.find("sgmae " + command + ":") != std::string::npos)
        << name << ": " << command << " ends with " << outcome.code << ", promised are " << promises
        << "\n"
        << outcome.err;
    if (outcome.code != 0) {
      EXPECT_TRUE(outcome.code == 2 || outcome.code == 4) << name << ": " << outcome.err;
    }
  }
}

TEST_F(Inspect, PromisesWhatTheCommandsDo) {
  for (const auto& [name, change] : cases()) {
    VitConfig config = encoder_config(tiny_mae());
    config.channels = 3;
    config.size.depth = 2;  // the second-last block is the guide's
    change(config);
    ModelInfo info;
    info.mean = info.std = std::vector<float>(static_cast<std::size_t>(config.channels), 0.5f);
    NamedTensors tensors;
    const Vit model(config, 1);
    for (const Parameter& p : model.parameters()) tensors.emplace_back(p.name, p.value);
    save_tensors(root_ / "m.safetensors", tensors, to_json(config), info);
    expect_promises_kept(name, run("inspect m.safetensors --json"), commands(config.channels),
                         [&](const std::string& line) {
                           for (const char* folder : {"probe", "tuned"})
                             fs::remove_all(root_ / folder);
                           return run(line);
                         });
  }
}

TEST_F(Inspect, PromisesWhatTheCommandsDoWithAnAutoencoder) {
  MaeConfig config = tiny_mae();
  config.channels = 3;
  config.encoder.depth = 2;
  ModelInfo info;
  info.mean = info.std = {0.5f, 0.5f, 0.5f};
  Mae model(config, 1);
  save_mae(root_ / "m.safetensors", model, info);
  const auto run_here = [&](const std::string& line) { return run(line); };
  expect_promises_kept("autoencoder", run("inspect m.safetensors --json"), commands(3), run_here);
  for (const char* folder : {"probe", "tuned"}) fs::remove_all(root_ / folder);
  // One that diverged is good for nothing, and the reason is the commands'.
  model.parameters()[0].value.fill_(std::nan(""));
  save_mae(root_ / "m.safetensors", model, info);
  const Outcome inspected = run("inspect m.safetensors --json");
  EXPECT_NE(inspected.err.find("'cls_token' holds values that are not finite"), std::string::npos);
  expect_promises_kept("diverged", inspected, commands(3), run_here);
}

// One line of what was assumed, in every command that opens a model.
TEST_F(Inspect, WhatIsAssumedIsSaidByEveryCommand) {
  MaeConfig config = tiny_mae();
  config.channels = 3;
  config.encoder = {64, 2, 1};
  config.decoder = {64, 1, 1};
  NamedTensors tensors;
  const Mae model(config, 1);
  for (const Parameter& p : model.parameters()) tensors.emplace_back(p.name, p.value);
  write_safetensors(root_ / "m.safetensors", tensors);
  const std::string stated =
      " --heads 1 --decoder_heads 1 --grid 2,2 --pixel_mean 0.5 --pixel_std 0.5";
  for (const auto& [command, line] : commands(3)) {
    const Outcome assumed = run(line);
    EXPECT_EQ(assumed.code, 0) << command << assumed.err;
    for (const char* what : {"heads 1", "a square grid of 2x2", "pixels normalised"})
      EXPECT_NE(assumed.err.find(what), std::string::npos) << command << assumed.err;
    for (const char* folder : {"probe", "tuned"}) fs::remove_all(root_ / folder);
    const Outcome told = run(line + stated);
    EXPECT_EQ(told.code, 0) << command << told.err;
    EXPECT_EQ(told.err.find("assumed"), std::string::npos) << command << told.err;
    for (const char* folder : {"probe", "tuned"}) fs::remove_all(root_ / folder);
  }
}

}  // namespace
}  // namespace sgmae
