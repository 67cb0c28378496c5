// Oracle: what was written; position_embedding_test for positions on another grid.
#include "sgmae/eval/classifier_file.h"

#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <limits>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/base/log.h"
#include "sgmae/checkpoint/checkpoint_name.h"
#include "sgmae/checkpoint/write_model.h"
#include "sgmae/nn/mae.h"
#include "sgmae/nn/position_embedding.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"
#include "tests/tiny_mae.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

class ClassifierFile : public ::testing::Test {
 protected:
  void SetUp() override { set_log_quiet(true); }

  static VitConfig config(std::int64_t classes, Pooling pooling) {
    VitConfig c;
    c.height = 8, c.width = 12, c.patch_size = 4, c.channels = 1;
    c.size = {8, 2, 2};
    c.mlp_hidden = 16;
    c.classes = classes;
    c.pooling = pooling;
    return c;
  }
  fs::path save(const Vit& model) const {
    const fs::path path = root_ / "model.safetensors";
    save_classifier(path, model, {{0.5f}, {0.25f}}, 3, {"ant", "bee", "\xff"});
    return path;
  }

  const TemporaryFolder folder_;
  const fs::path root_ = folder_.root();
};

const Parameter& parameter(const Vit& model, const std::string& name) {
  for (const Parameter& p : model.parameters())
    if (p.name == name) return p;
  throw std::out_of_range(name);
}

template <class Action>
std::string refusal(const Action& action) {
  return error_of(ExitCode::checkpoint, action);
}

TEST_F(ClassifierFile, ReturnsWhatWasWritten) {
  for (const Pooling pooling : {Pooling::cls, Pooling::mean}) {
    const Vit written(config(3, pooling), 1);
    const Pretrained read = read_pretrained(save(written));
    EXPECT_EQ(read.config.classes, 3);
    EXPECT_EQ(read.config.pooling, pooling);
    EXPECT_EQ(read.normalisation.std, std::vector<float>{0.25f});
    EXPECT_EQ(read.class_names[1], "bee");
    Vit model(read.config, 2);
    load_pretrained(read, model);
    for (const Parameter& p : written.parameters())
      EXPECT_TRUE(at::equal(p.value, parameter(model, p.name).value)) << p.name;
  }
}

TEST_F(ClassifierFile, AnotherNumberOfClassesBeginsWithANewHead) {
  const Vit written(config(3, Pooling::mean), 1);
  Vit model(config(5, Pooling::mean), 2), fresh(config(5, Pooling::mean), 2);
  load_pretrained(read_pretrained(save(written)), model);
  EXPECT_TRUE(
      at::equal(parameter(model, "head.weight").value, parameter(fresh, "head.weight").value));
  EXPECT_TRUE(
      at::equal(parameter(model, "cls_token").value, parameter(written, "cls_token").value));
}

TEST_F(ClassifierFile, AnotherPoolingBeginsWithANewNorm) {
  const Vit written(config(3, Pooling::cls), 1);
  Vit model(config(3, Pooling::mean), 2);
  load_pretrained(read_pretrained(save(written)), model);
  EXPECT_TRUE(
      at::equal(parameter(model, "head.weight").value, parameter(written, "head.weight").value));
}

TEST_F(ClassifierFile, AnotherImageSizeResizesPositionsAlone) {
  const Vit written(config(3, Pooling::mean), 1);
  VitConfig larger = config(3, Pooling::mean);
  larger.height = 16, larger.width = 20;
  Vit model(larger, 2);
  load_pretrained(read_pretrained(save(written)), model);
  EXPECT_TRUE(
      at::equal(parameter(model, "pos_embed").value,
                resize_position_embedding(parameter(written, "pos_embed").value, {2, 3}, {4, 5})));
  EXPECT_TRUE(at::equal(parameter(model, "blocks.1.mlp.fc2.weight").value,
                        parameter(written, "blocks.1.mlp.fc2.weight").value));
}

TEST_F(ClassifierFile, ReadsTheEncoderOfAnAutoencoder) {
  const Mae mae(tiny_mae(), 1);
  ModelInfo info;
  info.mean = std::vector<float>(static_cast<std::size_t>(mae.config().channels), 0.5f);
  info.std = info.mean;
  fs::create_directories(root_ / "checkpoints");
  save_mae(root_ / "checkpoints" / CheckpointName{2, 0}.file(), mae, info);
  const Pretrained read = read_pretrained(root_);
  EXPECT_EQ(read.config.classes, 0);
  EXPECT_EQ(read.find("mask_token"), nullptr);
  EXPECT_EQ(read.find("decoder_embed.weight"), nullptr);
  VitConfig config = read.config;
  config.classes = 4;
  config.pooling = Pooling::mean;
  Vit model(config, 1);
  load_pretrained(read, model);
  for (const Parameter& p : mae.parameters()) {
    if (!p.name.starts_with("blocks.") && p.name != "pos_embed") continue;
    EXPECT_TRUE(at::equal(p.value, parameter(model, p.name).value)) << p.name;
  }
}

TEST_F(ClassifierFile, RefusesWhatIsNoEncoder) {
  EXPECT_NE(refusal([&] { read_pretrained(root_); }).size(), 0u);
  EXPECT_NE(refusal([&] { read_pretrained(root_ / "absent"); }).size(), 0u);
  const fs::path path = root_ / "other.safetensors";
  write_safetensors(
      path, {{"x", at::Tensor(parameter(Vit(config(2, Pooling::cls), 0), "cls_token").value)}});
  EXPECT_NE(refusal([&] { read_pretrained(path); }).size(), 0u);
  write_file(path, "not a tensor file");
  refusal([&] { read_pretrained(path); });
}

TEST_F(ClassifierFile, RefusesMissingAndSpoiledTensors) {
  Vit written(config(3, Pooling::mean), 1);
  Pretrained file = read_pretrained(save(written));
  Vit model(config(3, Pooling::mean), 2);
  Pretrained partial = file;
  partial.tensors.erase(partial.tensors.begin());
  EXPECT_NE(refusal([&] { load_pretrained(partial, model); }).find("is missing"),
            std::string::npos);
  Vit wider(
      [] {
        VitConfig c = config(3, Pooling::mean);
        c.size.dim = 16;
        return c;
      }(),
      0);
  EXPECT_NE(refusal([&] { load_pretrained(file, wider); }).find("does not fit"), std::string::npos);
  file.tensors[5].second.fill_(std::numeric_limits<float>::quiet_NaN());
  EXPECT_NE(refusal([&] { load_pretrained(file, model); }).find("not finite"), std::string::npos);
}

}  // namespace
}  // namespace sgmae
