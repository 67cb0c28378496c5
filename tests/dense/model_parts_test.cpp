// Oracle: the parts counted by hand.
#include "sgmae/dense/model_parts.h"

#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

namespace sgmae {
namespace {

TEST(ModelParts, AreToldByTheNamesOfParameters) {
  std::vector<Parameter> parameters;
  for (const char* name :
       {"pos_embed", "blocks.0.attn.qkv.weight", "backbone.simfp_2.0.weight",
        "proposal_generator.rpn_head.conv.weight", "roi_heads.box_head.fc1.weight",
        "roi_heads.box_predictor.cls_score.weight", "roi_heads.mask_head.deconv.weight"})
    parameters.push_back({name, at::zeros({2, 3}), {}});
  const std::vector<ModelPart> parts = parts_of(parameters);
  ASSERT_EQ(parts.size(), 5u);
  const std::pair<const char*, std::int64_t> expected[] = {
      {"encoder", 12}, {"pyramid", 6}, {"proposal network", 6}, {"box head", 12}, {"mask head", 6}};
  for (std::size_t i = 0; i < parts.size(); ++i) {
    EXPECT_EQ(parts[i].name, expected[i].first);
    EXPECT_EQ(parts[i].parameters, expected[i].second);
  }
}

TEST(ModelParts, OfSegmentation) {
  std::vector<Parameter> parameters;
  for (const char* name : {"cls_token", "fpn1.0.weight", "decode_head.fpn_convs.0.conv.weight",
                           "auxiliary_head.classifier.weight"})
    parameters.push_back({name, at::zeros({1}), {}});
  std::vector<std::string> names;
  for (const ModelPart& part : parts_of(parameters)) names.push_back(part.name);
  EXPECT_EQ(names, (std::vector<std::string>{"encoder", "neck", "decode head", "auxiliary head"}));
}

}  // namespace
}  // namespace sgmae
