// Oracle: five steps of PyTorch's AdamW under MAE's parameter groups (tests/golden/classifier.py).
#include "sgmae/optim/layer_decay.h"

#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include "sgmae/io/safetensors.h"

namespace sgmae {
namespace {

TEST(LayerDecay, LayersCountFromThePatchEmbeddingToTheHead) {
  for (const char* first : {"cls_token", "pos_embed", "patch_embed.proj.weight"})
    EXPECT_EQ(layer_of(first, 12), 0) << first;
  EXPECT_EQ(layer_of("blocks.0.norm1.weight", 12), 1);
  EXPECT_EQ(layer_of("blocks.11.mlp.fc2.bias", 12), 12);
  for (const char* last : {"norm.weight", "fc_norm.bias", "head.weight"})
    EXPECT_EQ(layer_of(last, 12), 13) << last;
}

TEST(LayerDecay, BiasesAreExemptFromWeightDecayInTablesToo) {
  std::vector<Parameter> parameters;
  for (const char* name : {"pos_embed", "blocks.0.attn.relative_position_bias_table",
                           "blocks.0.attn.rel_pos_h", "blocks.0.attn.qkv.weight"})
    parameters.push_back({name, at::zeros({3, 2}), at::Tensor()});
  std::vector<bool> decayed;
  for (const ParameterRule& rule : layer_decay_rules(parameters, 1, 0.5))
    decayed.push_back(rule.decayed);
  EXPECT_EQ(decayed, (std::vector<bool>{false, false, true, true}));
}

TEST(LayerDecay, AdamWEqualsPyTorchStepForStep) {
  const TensorFile golden =
      read_safetensors(std::string(SGMAE_TEST_DATA) + "/layer_decay.safetensors");
  std::vector<Parameter> parameters;
  for (const auto& [name, tensor] : golden.tensors)
    if (const std::string start = "start."; name.starts_with(start))
      parameters.push_back({name.substr(start.size()), tensor.clone(), at::zeros_like(tensor)});
  ASSERT_EQ(parameters.size(), 10u);
  AdamW optimizer(parameters, {.beta2 = 0.999, .weight_decay = 0.05},
                  layer_decay_rules(parameters, 2, 0.65));
  for (int step = 0; step < 5; ++step) {
    for (Parameter& p : parameters)
      p.grad.copy_(*golden.find("grad." + std::to_string(step) + "." + p.name));
    optimizer.step(1e-2 * (step + 1));
    for (const Parameter& p : parameters) {
      const at::Tensor& want = *golden.find("value." + std::to_string(step) + "." + p.name);
      // A handful of fp32 roundings a step on values of a few units.
      EXPECT_LE(p.value.sub(want).abs().max().item<double>(), 2e-6) << p.name << " step " << step;
    }
  }
}

}  // namespace
}  // namespace sgmae
