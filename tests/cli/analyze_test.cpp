// sgmae analyze as a user runs it, on a run folder and images made here: exit codes, messages,
// files. The numbers have their oracles in tests/analysis and tests/eval.
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

#include "sgmae/checkpoint/write_model.h"
#include "sgmae/image/decode.h"
#include "tests/data/folder.h"
#include "tests/support/program.h"

namespace sgmae {
namespace {

Outcome run(const Folder& folder, const std::string& arguments) {
  return run_program_in(folder.path(), "analyze --threads 1 --num_workers 0 " + arguments);
}

void save(const Folder& folder, const std::string& name, bool damaged = false) {
  const MaeConfig config{.height = 16,
                         .width = 16,
                         .channels = 3,
                         .patch_size = 4,
                         .encoder = {16, 2, 2},
                         .decoder = {16, 1, 2}};
  ModelInfo info;
  info.mean = info.std = {0.5f, 0.5f, 0.5f};
  info.epoch = 1;
  Mae model(config, 1);
  if (damaged)
    for (Parameter& p : model.parameters())
      if (p.name == "blocks.0.attn.qkv.bias") p.value.fill_(std::numeric_limits<float>::infinity());
  std::filesystem::create_directories(std::filesystem::path(folder.path(name)).parent_path());
  save_mae(folder.path(name), model, info);
}

class Analyze : public testing::Test {
 protected:
  void SetUp() override { at::set_num_threads(1); }  // run_program_in
};

TEST_F(Analyze, WritesMetricsAndTheFiguresItNames) {
  const Folder folder;
  save(folder, "run/checkpoints/epoch-0001.safetensors");
  save(folder, "run/checkpoints/epoch-0005.safetensors");
  for (int i = 0; i < 3; ++i) folder.image(str("images/", i, ".png"), 60 * i, 16, 16);
  const Outcome outcome = run(folder, "--checkpoint run --data_path images --output_dir made");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto json = nlohmann::json::parse(read_text(folder.path("made/metrics.json")));
  EXPECT_EQ(json["models"].size(), 2u);
  EXPECT_EQ(json["images"], 3);
  EXPECT_EQ(json["data"]["fit"], "auto");
  EXPECT_EQ(json["figures"].size(), 7u);
  for (const auto& figure : json["figures"])
    EXPECT_GT(
        decode_image(read_file(folder.path("made/" + figure["file"].get<std::string>())), 3).width,
        100);
}

TEST_F(Analyze, ErrorsLeaveNothingBehind) {
  const Folder folder;
  save(folder, "good.safetensors");
  save(folder, "bad/bad.safetensors", /*damaged=*/true);
  for (int i = 0; i < 2; ++i) folder.image(str("images/", i, ".png"), 60 * i, 16, 16);
  folder.image("one/a.png");
  const auto expect = [&](int code, const std::string& arguments, const std::string& message) {
    const Outcome outcome = run(folder, arguments + " --output_dir made");
    EXPECT_EQ(outcome.code, code) << arguments << "\n" << outcome.err;
    EXPECT_NE(outcome.err.find(message), std::string::npos) << outcome.err;
    EXPECT_FALSE(std::filesystem::exists(folder.path("made"))) << arguments;
  };
  expect(2, "--data_path images", "checkpoint is missing");
  expect(2, "--checkpoint good.safetensors", "data_path is missing");
  expect(2, "--checkpoint good.safetensors --data_path images --metrics rollot",
         "did you mean 'rollout'?");
  expect(2, "--checkpoint good.safetensors --data_path images --mask_ratio 1", "mask_ratio");
  expect(2, "--checkpoint good.safetensors --data_path images --clusters 1", "clusters");
  expect(2, "--checkpoint good.safetensors --data_path images --guide_layer 7", "guide_layer");
  expect(3, "--checkpoint good.safetensors --data_path one", "at least two");
  expect(3, "--checkpoint good.safetensors --data_path none", "none");
  expect(4, "--checkpoint none.safetensors --data_path images", "none.safetensors");
  expect(4, "--checkpoint bad/bad.safetensors --data_path images", "finite");
}

}  // namespace
}  // namespace sgmae
