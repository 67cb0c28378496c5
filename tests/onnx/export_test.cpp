// Oracle: the program's own models, against the files' graphs as tests/onnx/onnx_reader.h computes
// them. tests/golden/onnx_check.py holds the same files against onnxruntime.
#include "sgmae/onnx/export.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include "sgmae/base/log.h"
#include "sgmae/checkpoint/open_model.h"
#include "sgmae/checkpoint/write_model.h"
#include "sgmae/detect/pyramid.h"
#include "sgmae/nn/mae.h"
#include "tests/onnx/onnx_reader.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensors.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;
using onnx_reader::Model;

constexpr double rounding = 2e-6;  // of fp32, over a few blocks in another order

VitConfig plain_config() {
  VitConfig config;
  config.height = 16, config.width = 24;
  config.patch_size = 4;
  config.size = {32, 3, 4};
  config.mlp_hidden = 64;
  return config;
}

struct Case {
  const char* name;
  VitConfig config;
};

std::vector<Case> cases() {
  std::vector<Case> all{{"plain", plain_config()}};
  const auto add = [&](const char* name) -> VitConfig& {
    all.push_back({name, plain_config()});
    return all.back().config;
  };
  add("grey").channels = 1;
  VitConfig& dino = add("LayerScale and registers");
  dino.layer_scale = true, dino.registers = 3;
  VitConfig& bare = add("registers without a class token");
  bare.class_token = false, bare.registers = 2;
  bare.pooling = Pooling::normed_mean;
  add("class token alone").position_embedding = false;
  VitConfig& patches = add("patches alone");
  patches.class_token = patches.position_embedding = false;
  patches.pooling = Pooling::normed_mean;
  VitConfig& beit = add("BEiT");
  beit.attention.assign(3, {0, RelativePosition::bias});
  beit.position_embedding = false, beit.layer_scale = true;
  VitConfig& biased = add("BEiT without a class token");
  biased.attention.assign(3, {0, RelativePosition::bias});
  biased.class_token = false;
  biased.pooling = Pooling::normed_mean;
  VitConfig& windows = add("windows");
  windows.attention = {{3, RelativePosition::decomposed},
                       {0, RelativePosition::decomposed},
                       {2, RelativePosition::none}};
  windows.class_token = windows.final_norm = false;
  windows.pooling = Pooling::normed_mean;
  VitConfig& pooled = add("global pool");
  pooled.pooling = Pooling::mean, pooled.classes = 5;
  add("classifier").classes = 5;
  VitConfig& probe = add("linear probe");
  probe.classes = 5, probe.batch_norm_head = true;
  VitConfig& normed = add("mean after the norm");
  normed.pooling = Pooling::normed_mean, normed.classes = 5;
  return all;
}

// Draws every weight, so that none of them is without effect.
template <class Model>
void draw(Model& model, std::uint64_t seed) {
  for (Parameter& parameter : model.parameters()) {
    const at::Tensor values = noise(parameter.value.sizes(), ++seed);
    if (parameter.name.ends_with("running_var"))
      parameter.value.copy_(values.abs().add(0.5));
    else
      parameter.value.add_(values, 0.1);
  }
  model.parameters_changed();
}

Vit drawn(const VitConfig& config) {
  Vit model(config, 1);
  draw(model, 7);
  return model;
}

class OnnxExport : public ::testing::Test {
 protected:
  void SetUp() override { set_log_quiet(true); }

  ModelFile saved(const Vit& model, const ModelInfo& given = {}) const {
    ModelInfo info = given;
    if (info.mean.empty())
      info.mean = info.std =
          std::vector<float>(static_cast<std::size_t>(model.config().channels), 0.5f);
    save_vit(root_ / "model.safetensors", model, info);
    return read_model_file(root_ / "model.safetensors");
  }
  Model exported(const ModelFile& file, const OnnxOptions& options) const {
    export_onnx(root_ / "model.onnx", file, options);
    return onnx_reader::read_model(root_ / "model.onnx");
  }

  const TemporaryFolder folder_;
  const fs::path root_ = folder_.root();
};

TEST_F(OnnxExport, ComputesWhatTheModelDoes) {
  for (const auto& [name, config] : cases()) {
    SCOPED_TRACE(name);
    const Vit model = drawn(config);
    const at::Tensor pixels = noise({3, config.channels, config.height, config.width}, 3);
    const at::Tensor tokens = model.encode(pixels);
    const at::Tensor patches = tokens.narrow(1, config.class_tokens(), config.n_patches());
    const Model onnx = exported(saved(model), {.outputs = OnnxOutputs::all});
    EXPECT_EQ(onnx.ir_version, 9);
    EXPECT_EQ(onnx.opset, 20);
    EXPECT_EQ(onnx.count("Gelu"), 3);
    const int norms = 6 + (config.has_final_norm() ? 1 : 0);
    EXPECT_EQ(onnx.count("LayerNormalization"), norms + (config.pooling == Pooling::mean ? 1 : 0));
    EXPECT_EQ(onnx.outputs.at("patches"), (std::vector<std::string>{"batch", "24", "32"}));
    EXPECT_EQ(onnx.outputs.contains("cls"), config.class_token);
    auto results = onnx_reader::compute(onnx, pixels);
    EXPECT_LT(relative_error(results["patches"], patches), rounding);
    const bool fc_norm = config.pooling == Pooling::mean;
    EXPECT_LT(relative_error(results["mean"], fc_norm ? model.pooled(tokens) : patches.mean({1})),
              rounding);
    if (config.class_token) {
      EXPECT_LT(relative_error(results["cls"], tokens.select(1, 0)), rounding);
    }
    if (config.classes == 0) continue;
    results = onnx_reader::compute(exported(saved(model), {}), pixels);
    ASSERT_EQ(results.size(), 1u);
    EXPECT_LT(relative_error(results["logits"], model.logits(pixels)), rounding);
  }
}

TEST_F(OnnxExport, TakesTheEncoderOfAnAutoencoder) {
  MaeConfig config;
  config.height = config.width = 32;
  config.patch_size = 8;
  config.encoder = {32, 2, 2}, config.decoder = {16, 1, 2};
  const Mae model(config, 1);
  ModelInfo info;
  info.mean = {0.5f, 0.25f, 0.125f}, info.std = {0.1f, 0.2f, 0.30000001f};
  save_mae(root_ / "mae.safetensors", model, info);
  const Model onnx = exported(read_model_file(root_ / "mae.safetensors"), {});
  EXPECT_EQ(onnx.metadata.at("mean"), "0.5,0.25,0.125");
  EXPECT_EQ(onnx.metadata.at("std"), "0.1,0.2,0.3");
  EXPECT_EQ(onnx.metadata.at("height"), "32");
  EXPECT_FALSE(onnx.metadata.contains("class_names"));
  for (const auto& [name, unused] : onnx.initializers)
    EXPECT_EQ(name.find("decoder"), std::string::npos) << name;
  const at::Tensor pixels = noise({2, 3, 32, 32}, 4);
  EXPECT_LT(relative_error(onnx_reader::compute(onnx, pixels)["cls"],
                           model.encoder().encode(pixels).select(1, 0)),
            rounding);
}

TEST_F(OnnxExport, SaysClassesAndFixedBatches) {
  VitConfig config = plain_config();
  config.classes = 2;
  ModelInfo info;
  info.mean = info.std = {0.5f, 0.5f, 0.5f};
  info.class_names = {"a \"b\"", "\xff"};
  const Model onnx = exported(saved(drawn(config), info), {.batch = 4});
  EXPECT_EQ(onnx.metadata.at("class_names"), "[\"a \\\"b\\\"\",\"\xef\xbf\xbd\"]");
  EXPECT_EQ(onnx.inputs.at("pixels"), (std::vector<std::string>{"4", "3", "16", "24"}));
  EXPECT_EQ(onnx.outputs.at("logits"), (std::vector<std::string>{"4", "2"}));
}

TEST_F(OnnxExport, FollowsImagesOfAnySize) {
  const Vit model = drawn(plain_config());
  const ModelFile file = saved(model);
  const Model onnx = exported(file, {.outputs = OnnxOutputs::patches, .any_size = true});
  EXPECT_EQ(onnx.inputs.at("pixels"), (std::vector<std::string>{"batch", "3", "height", "width"}));
  for (const auto& [height, width] : {std::pair{16, 24}, std::pair{32, 24}, std::pair{8, 40}}) {
    OpenOptions other;
    other.height = height, other.width = width;
    const OpenedModel resized = open_model(root_ / "model.safetensors", other);
    const at::Tensor pixels = noise({2, 3, height, width}, 5);
    EXPECT_LT(relative_error(onnx_reader::compute(onnx, pixels)["patches"],
                             resized.encoder().encode(pixels).slice(1, 1)),
              rounding);
  }
  VitConfig relative = plain_config();
  relative.attention.assign(3, {0, RelativePosition::bias});
  EXPECT_NE(error_of(ExitCode::usage, [&] { exported(saved(drawn(relative)), {.any_size = true}); })
                .find("leave out --any_size"),
            std::string::npos);
}

TEST_F(OnnxExport, HalvesItsWeights) {
  const Vit model = drawn(plain_config());
  const ModelFile file = saved(model);
  const Model whole = exported(file, {});
  const auto bytes = fs::file_size(root_ / "model.onnx");
  const Model half = exported(file, {.half = true});
  EXPECT_LT(static_cast<double>(fs::file_size(root_ / "model.onnx")),
            0.6 * static_cast<double>(bytes));
  for (const auto& [name, value] : half.initializers)
    EXPECT_NE(value.scalar_type(), at::kFloat) << name;
  const at::Tensor pixels = noise({2, 3, 16, 24}, 6);
  auto exact = onnx_reader::compute(whole, pixels), rounded = onnx_reader::compute(half, pixels);
  EXPECT_EQ(rounded["mean"].scalar_type(), at::kFloat);
  EXPECT_LT(relative_error(rounded["mean"], exact["mean"]), 3e-3);  // 2^-11 a value, three blocks
  EXPECT_GT(relative_error(rounded["mean"], exact["mean"]), 1e-6) << "nothing was rounded";

  Vit large = drawn(plain_config());
  large.parameters().back().value.fill_(1e5);
  EXPECT_NE(error_of(ExitCode::checkpoint, [&] { exported(saved(large), {.half = true}); })
                .find("export it as fp32"),
            std::string::npos);
}

TEST_F(OnnxExport, KeepsWeightsBeside) {
  const Vit model = drawn(plain_config());
  const ModelFile file = saved(model);
  const Model inside = exported(file, {});
  EXPECT_FALSE(fs::exists(root_ / "model.onnx.data"));
  const Model beside = exported(file, {.data_beside = true});
  EXPECT_TRUE(fs::exists(root_ / "model.onnx.data"));
  EXPECT_LT(fs::file_size(root_ / "model.onnx"), 20000u);
  ASSERT_EQ(beside.initializers.size(), inside.initializers.size());
  for (const auto& [name, value] : inside.initializers)
    EXPECT_TRUE(at::equal(value, beside.initializers.at(name))) << name;
}

TEST_F(OnnxExport, WritesADetectorsMaps) {
  VitConfig vit = plain_config();
  vit.height = vit.width = 32;
  vit.patch_size = 8;
  MaskRcnnConfig config;
  config.backbone = detection_backbone(vit, 40, 24, 2, {1});
  config.classes = 2, config.channels = 8, config.box_hidden = 16;
  config.box_convs = 1, config.mask_convs = 1;
  MaskRcnn model(config, 1);
  draw(model, 40);
  save_detector(root_ / "detector.safetensors", model, {{0.5f, 0.5f, 0.5f}, {0.2f, 0.2f, 0.2f}}, 1,
                {{"cat", "dog"}, {1, 2}});
  const DetectorFile file = read_detector(root_ / "detector.safetensors");
  export_onnx(root_ / "detector.onnx", file, {});
  const Model onnx = onnx_reader::read_model(root_ / "detector.onnx");
  EXPECT_EQ(onnx.metadata.at("class_names"), "[\"cat\",\"dog\"]");

  // The same pyramid by itself, with the detector's weights.
  std::vector<Parameter> parameters;
  parameters.reserve(64);
  Initialiser init(parameters, 1);
  const FeaturePyramid pyramid(config.backbone.size.dim, config.channels, LayerMaker(init));
  for (Parameter& parameter : parameters)
    parameter.value.copy_(*find_tensor(file.tensors, parameter.name));
  const at::Tensor pixels = noise({2, 3, 40, 24}, 8);
  auto results = onnx_reader::compute(onnx, pixels);
  ASSERT_EQ(results.size(), 5u);
  const at::NoGradGuard no_grad;
  for (std::int64_t image = 0; image < 2; ++image) {
    const at::Tensor map = model.encoder()
                               .encode(pixels.narrow(0, image, 1))
                               .transpose(1, 2)
                               .reshape({1, config.backbone.size.dim, 5, 3});
    const std::vector<at::Tensor> levels = pyramid.forward(map, at::kFloat);
    for (std::size_t i = 0; i < levels.size(); ++i) {
      const at::Tensor& level = results[str("p", i + 2)];
      EXPECT_EQ(std::to_string(level.size(2)), onnx.outputs.at(str("p", i + 2))[2]);
      EXPECT_EQ(std::to_string(level.size(3)), onnx.outputs.at(str("p", i + 2))[3]);
      EXPECT_LT(relative_error(level.narrow(0, image, 1), levels[i]), 5e-6) << i;
    }
  }
  EXPECT_EQ(exit_code([&] { export_onnx(root_ / "x.onnx", file, {.any_size = true}); }),
            ExitCode::usage);
}

// Sizes that pooled parts and halves do not divide, and every weight and statistic drawn.
Segmenter drawn_segmenter(SegmentHead head) {
  SegmenterConfig config;
  VitConfig vit = plain_config();
  vit.size.depth = 5;
  config.backbone = segmentation_backbone(vit, 28, 20, /*relative_bias=*/true,
                                          /*layer_scale=*/head == SegmentHead::uper);
  config.head = head;
  config.taps = head == SegmentHead::uper ? std::vector<std::int64_t>{0, 1, 2, 4}
                                          : std::vector<std::int64_t>{1, 3};
  config.classes = 3, config.channels = 8, config.auxiliary_channels = 4;
  Segmenter model(config, 1);
  draw(model, 60);
  std::uint64_t seed = 600;
  for (const auto& [name, value] : model.statistics())
    if (name.ends_with("running_var"))
      value.copy_(noise(value.sizes(), ++seed).abs().add(0.1));
    else if (name.ends_with("running_mean"))
      value.copy_(noise(value.sizes(), ++seed));
  return model;
}

TEST_F(OnnxExport, ComputesWhatASegmenterDoes) {
  for (const SegmentHead head : {SegmentHead::uper, SegmentHead::linear}) {
    SCOPED_TRACE(head == SegmentHead::uper ? "UperNet" : "linear");
    const Segmenter model = drawn_segmenter(head);
    save_segmenter(root_ / "segmenter.safetensors", model, {{0.5f, 0.5f, 0.5f}, {0.2f, 0.2f, 0.2f}},
                   1, {"road", "tree", "sky"});
    const SegmenterFile file = read_segmenter(root_ / "segmenter.safetensors");
    export_onnx(root_ / "segmenter.onnx", file, {});
    const Model onnx = onnx_reader::read_model(root_ / "segmenter.onnx");
    EXPECT_EQ(onnx.metadata.at("class_names"), "[\"road\",\"tree\",\"sky\"]");
    for (const auto& [name, unused] : onnx.initializers)
      EXPECT_EQ(name.find("auxiliary"), std::string::npos) << name;
    const at::Tensor pixels = noise({2, 3, 28, 20}, 9);
    auto results = onnx_reader::compute(onnx, pixels);
    ASSERT_EQ(results.size(), 2u);
    const at::Tensor wanted = model.logits(pixels);
    EXPECT_EQ(results["logits"].sizes(), wanted.sizes());
    EXPECT_LT(relative_error(results["logits"], wanted), 5e-6);
    EXPECT_EQ(onnx.outputs.at("labels"), (std::vector<std::string>{"batch", "28", "20"}));
    EXPECT_TRUE(at::equal(
        results["labels"],
        at::upsample_bilinear2d(results["logits"], {28, 20}, false).argmax(1).to(at::kByte)));
    EXPECT_GT(results["labels"].max().item<int>(), 0);

    export_onnx(root_ / "half.onnx", file, {.outputs = OnnxOutputs::logits, .half = true});
    auto rounded = onnx_reader::compute(onnx_reader::read_model(root_ / "half.onnx"), pixels);
    ASSERT_EQ(rounded.size(), 1u);
    EXPECT_LT(relative_error(rounded["logits"], wanted), 1e-2);

    for (const OnnxOptions& refused :
         {OnnxOptions{.outputs = OnnxOutputs::mean}, OnnxOptions{.any_size = true}})
      EXPECT_EQ(exit_code([&] { export_onnx(root_ / "x.onnx", file, refused); }), ExitCode::usage);
    EXPECT_FALSE(fs::exists(root_ / "x.onnx"));
  }
}

TEST_F(OnnxExport, RefusesWhatTheModelDoesNotHave) {
  VitConfig config = plain_config();
  const ModelFile file = saved(drawn(config));
  EXPECT_NE(error_of(ExitCode::usage, [&] { exported(file, {.outputs = OnnxOutputs::logits}); })
                .find("no classification head"),
            std::string::npos);
  config.class_token = false;
  config.pooling = Pooling::normed_mean;
  const ModelFile bare = saved(drawn(config));
  EXPECT_NE(error_of(ExitCode::usage, [&] { exported(bare, {.outputs = OnnxOutputs::cls}); })
                .find("no class token"),
            std::string::npos);
  EXPECT_FALSE(fs::exists(root_ / "model.onnx"));
}

}  // namespace
}  // namespace sgmae
