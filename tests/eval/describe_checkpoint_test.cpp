// Oracle: the model that was saved.
#include "sgmae/eval/describe_checkpoint.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "sgmae/eval/detector_file.h"
#include "sgmae/eval/segmenter_file.h"
#include "sgmae/io/safetensors.h"
#include "tests/support/temporary_folder.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

VitConfig vit() {
  VitConfig c;
  c.size = {16, 4, 2};
  c.mlp_hidden = 32;
  c.patch_size = 8;
  return c;
}

class DescribeCheckpoint : public testing::Test {
 protected:
  std::string text(const fs::path& path) {
    const DescribedModel model = describe_checkpoint(path);
    description_ = model.description;
    json_ = to_json(description_, model.file);
    return to_text(description_, model.file);
  }
  void expect_parts(const std::vector<Parameter>& parameters) const {
    std::int64_t sum = 0;
    for (const auto& [name, count] : json_["heads"]["parts"].items())
      sum += count.get<std::int64_t>();
    EXPECT_EQ(sum, value_count(parameters));
    EXPECT_EQ(json_["encoder_parameters"].get<std::int64_t>() +
                  json_["head_parameters"].get<std::int64_t>(),
              sum);
    EXPECT_TRUE(json_["left_out"].empty());
    EXPECT_TRUE(description_.warnings.empty());
  }
  fs::path save(MaskRcnn& model) const {
    save_detector(path_, model, default_normalisation(3), 7, {{"cat", "dog"}, {1, 5}});
    return path_;
  }

  const TemporaryFolder folder_;
  const fs::path path_ = folder_.root() / "m.safetensors";
  ModelDescription description_;
  nlohmann::ordered_json json_;
};

MaskRcnnConfig detector() {
  MaskRcnnConfig c;
  c.backbone = detection_backbone(vit(), 64, 64, 3, {1});
  c.classes = 2;
  c.channels = 8;
  c.box_hidden = 16;
  c.mask_convs = 1;
  return c;
}

TEST_F(DescribeCheckpoint, OfADetector) {
  MaskRcnn model(detector(), 1);
  const std::string said = text(save(model));
  for (const char* words :
       {"a detector of 2 classes, with masks (Mask R-CNN), on a canvas of 64x64",
        "windows in 3 of 4 blocks", "pyramid: 8 channels, cells of 2 to 32 pixels",
        "proposal network: 2 convolutions, 3 anchors of 8 cells", "box head: 4 convolutions",
        "mask head: 1 convolution, masks of 28x28", "classes: cat, dog", "sgmae detect: --eval"})
    EXPECT_NE(said.find(words), std::string::npos) << words << " is not in\n" << said;
  expect_parts(model.parameters());
  EXPECT_EQ(json_["heads"]["classes"], (std::vector<std::string>{"cat", "dog"}));
}

TEST_F(DescribeCheckpoint, OfASegmentationModel) {
  SegmenterConfig c;
  c.backbone = segmentation_backbone(vit(), 32, 32, true, true);
  c.classes = 3;
  c.taps = {0, 1, 2, 3};
  c.channels = 8;
  c.auxiliary_channels = 4;
  const Segmenter model(c, 1);
  save_segmenter(path_, model, default_normalisation(3), 2, {"a", "b", "c"});
  const std::string said = text(path_);
  for (const char* words : {"a segmentation model of 3 classes, UperNet, windows of 32x32",
                            "neck: reads blocks 0, 1, 2, 3", "decode head: 8 channels",
                            "auxiliary head: 4 channels", "classes: a, b, c", "sgmae segment:"})
    EXPECT_NE(said.find(words), std::string::npos) << words << " is not in\n" << said;
  expect_parts(model.parameters());
}

// What made the folder is in tests/golden/segmenter.py.
TEST_F(DescribeCheckpoint, OfAFolderOfTransformers) {
  const fs::path folder = SGMAE_TEST_DATA "/segment/beit";
  const std::string said = text(folder);
  for (const char* words :
       {"a BeitForSemanticSegmentation of Hugging Face transformers",
        "a segmentation model of 5 classes, UperNet, windows of 40x40", "relative positions",
        "neck: reads blocks 0, 2, 3, 4", "good for  sgmae segment:", "good for  sgmae export:"})
    EXPECT_NE(said.find(words), std::string::npos) << words << " is not in\n" << said;
  EXPECT_EQ(said.find("sgmae knn"), std::string::npos) << "which does not open it";
  const SegmenterFile file = read_segmenter(folder);
  expect_parts(Segmenter(file.config, std::nullopt).parameters());
}

TEST_F(DescribeCheckpoint, SaysWhyHeadsDoNotRun) {
  MaskRcnn model(detector(), 1);
  model.parameters().back().value.fill_(std::nan(""));
  EXPECT_NE(text(save(model)).find("sgmae cannot run the heads: "), std::string::npos);

  const fs::path folder = folder_.root() / "beit";
  fs::copy(SGMAE_TEST_DATA "/segment/beit", folder);
  TensorFile file = read_safetensors(folder / "model.safetensors");
  for (auto& [name, tensor] : file.tensors)
    if (name == "decode_head.classifier.bias") tensor = tensor.mul(std::nan(""));
  write_safetensors(folder / "model.safetensors", file.tensors, file.metadata);
  const std::string said = text(folder);
  EXPECT_NE(said.find("sgmae cannot run the heads: "), std::string::npos) << said;
  EXPECT_NE(said.find("BeitForSemanticSegmentation"), std::string::npos) << said;
}

}  // namespace
}  // namespace sgmae
