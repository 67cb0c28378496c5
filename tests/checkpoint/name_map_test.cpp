// Oracle: the names of published files, written out by hand.
#include "sgmae/checkpoint/name_map.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <set>

#include "sgmae/base/error.h"
#include "tests/checkpoint/native.h"

namespace sgmae {
namespace {

std::set<std::string> names_of(const NamedTensors& tensors) {
  std::set<std::string> names;
  for (const auto& [name, unused] : tensors) names.insert(name);
  return names;
}

NamedTensors with_prefix(const std::string& prefix, NamedTensors tensors) {
  for (auto& [name, unused] : tensors) name = prefix + name;
  return tensors;
}

std::string complaint(const NamedTensors& tensors) {
  try {
    to_native(tensors);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::checkpoint);
    return error.what();
  }
  return "";
}

NamedTensors mae_tensors() {
  return values_of(Mae(tiny_mae(), 1).parameters());
}
NamedTensors encoder_tensors() {
  return values_of(Vit(encoder_config(tiny_mae()), 1).parameters());
}

TEST(NameMap, HuggingFaceNamesAsPublished) {
  const std::set<std::string> names = names_of(from_native(mae_tensors(), Family::hf_vit_mae));
  for (const char* name :
       {"vit.embeddings.cls_token", "vit.embeddings.position_embeddings",
        "vit.embeddings.patch_embeddings.projection.weight",
        "vit.encoder.layer.0.attention.attention.query.weight",
        "vit.encoder.layer.0.attention.output.dense.bias",
        "vit.encoder.layer.0.layernorm_before.weight",
        "vit.encoder.layer.0.intermediate.dense.bias", "vit.encoder.layer.0.output.dense.weight",
        "vit.layernorm.bias", "decoder.mask_token", "decoder.decoder_pos_embed",
        "decoder.decoder_layers.0.attention.attention.value.bias", "decoder.decoder_norm.weight",
        "decoder.decoder_pred.bias"})
    EXPECT_TRUE(names.count(name)) << name;
}

TEST(NameMap, MmpretrainNamesAsPublished) {
  const std::set<std::string> names = names_of(from_native(mae_tensors(), Family::mmpretrain));
  for (const char* name :
       {"backbone.cls_token", "backbone.patch_embed.projection.bias",
        "backbone.layers.0.ln1.weight", "backbone.layers.0.attn.qkv.weight",
        "backbone.layers.0.ffn.layers.0.0.weight", "backbone.layers.0.ffn.layers.1.bias",
        "backbone.ln1.weight", "neck.mask_token", "neck.decoder_blocks.0.ln2.bias",
        "neck.ln1.weight", "neck.decoder_pred.weight"})
    EXPECT_TRUE(names.count(name)) << name;
}

// Every layout there and back, whatever stands before its names.
TEST(NameMap, EveryLayoutComesBack) {
  for (const Family family : {Family::mae, Family::hf_vit_mae, Family::mmpretrain})
    for (const char* prefix : {"", "model.", "state_dict.module."}) {
      const NamedTensors before = mae_tensors();
      const NativeTensors after = to_native(with_prefix(prefix, from_native(before, family)));
      EXPECT_EQ(after.prefix, std::string(prefix) == "state_dict.module." ? "state_dict." : prefix)
          << name_of(family);
      ASSERT_EQ(after.tensors.size(), before.size()) << name_of(family);
      for (std::size_t i = 0; i < before.size(); ++i) {
        EXPECT_EQ(after.tensors[i].first, before[i].first);
        EXPECT_TRUE(after.tensors[i].second.equal(before[i].second)) << before[i].first;
      }
    }
}

TEST(NameMap, QueryKeyAndValueAreTheRowsOfQkv) {
  const at::Tensor qkv = at::arange(12).view({6, 2});
  const NamedTensors theirs = from_native({{"blocks.7.attn.qkv.weight", qkv}}, Family::hf_vit);
  ASSERT_EQ(theirs.size(), 3u);
  EXPECT_EQ(theirs[1].first, "encoder.layer.7.attention.attention.key.weight");
  EXPECT_TRUE(theirs[1].second.equal(qkv.narrow(0, 2, 2)));
}

// MoCo v3 has two encoders and heads that are thrown away; the momentum encoder is a slow copy.
TEST(NameMap, MocoV3GivesItsBaseEncoder) {
  NamedTensors file = with_prefix("state_dict.module.momentum_encoder.", encoder_tensors());
  const NamedTensors base = with_prefix("state_dict.module.base_encoder.",
                                        values_of(Vit(encoder_config(tiny_mae()), 2).parameters()));
  file.insert(file.end(), base.begin(), base.end());
  file.emplace_back("state_dict.module.base_encoder.head.0.weight", at::zeros({2, 2}));
  file.emplace_back("state_dict.module.predictor.0.weight", at::zeros({2, 2}));
  const NativeTensors native = to_native(file);
  EXPECT_EQ(native.prefix, "state_dict.base_encoder.");
  EXPECT_EQ(native.tensors.size(), base.size());
  EXPECT_TRUE(native.tensors[0].second.equal(base[0].second));
}

// safetensors has names in order, and MoCo's and BYOL's copies come before the others there.
TEST(NameMap, TheCopyThatFollowsIsNotTaken) {
  const NamedTensors base = values_of(Vit(encoder_config(tiny_mae()), 2).parameters());
  for (const auto& [copy, trained] : {std::pair{"encoder_k.", "encoder_q."},
                                      {"key_encoder.", "online_encoder."},
                                      {"target_network.", "online_network."}}) {
    NamedTensors file = with_prefix(copy, encoder_tensors());
    for (const auto& tensor : with_prefix(trained, base)) file.push_back(tensor);
    EXPECT_EQ(to_native(file).prefix, trained);
  }
}

TEST(NameMap, HpmsLossPredictorIsLeftOut) {
  NamedTensors file = mae_tensors();
  const std::size_t size = file.size();
  file.emplace_back("decoder_blocks_losspred.0.norm1.weight", at::zeros({8}));
  file.emplace_back("decoder_norm_losspred.weight", at::zeros({8}));
  file.emplace_back("decoder_pred_losspred.bias", at::zeros({8}));
  const NativeTensors native = to_native(file);
  EXPECT_EQ(native.tensors.size(), size);
  EXPECT_EQ(native.left_out.size(), 3u);
}

TEST(NameMap, DinoV2sMaskTokenIsNoDecoder) {
  NamedTensors file = encoder_tensors();
  file.emplace_back("mask_token", at::zeros({1, 16}));
  file.emplace_back("register_tokens", at::zeros({1, 2, 16}));
  const NativeTensors native = to_native(file);
  EXPECT_FALSE(names_of(native.tensors).count("mask_token"));
  EXPECT_TRUE(names_of(native.tensors).count("reg_token"));
}

TEST(NameMap, SaysWhatItDoesNotKnow) {
  EXPECT_NE(complaint({}).find("no tensors"), std::string::npos);
  const std::string text = complaint({{"conv1.weight", at::zeros({1})}});
  EXPECT_NE(text.find("tried MAE"), std::string::npos);
  EXPECT_NE(text.find("'conv1.weight'"), std::string::npos);

  NamedTensors swiglu = encoder_tensors();
  swiglu.emplace_back("blocks.0.mlp.w12.weight", at::zeros({1}));
  EXPECT_NE(complaint(swiglu).find("'blocks.0.mlp.w12.weight' has no place"), std::string::npos);
  NamedTensors headless = encoder_tensors();
  std::erase_if(headless, [](const auto& t) { return t.first == "cls_token"; });
  EXPECT_NE(complaint(headless).find("no class token ('cls_token')"), std::string::npos);
  NamedTensors conv_stem = encoder_tensors();
  conv_stem.emplace_back("norm_pre.weight", at::zeros({1}));
  EXPECT_NE(complaint(conv_stem).find("'norm_pre.weight' has no place"), std::string::npos);

  NamedTensors hf = from_native(encoder_tensors(), Family::hf_vit);
  std::erase_if(hf, [](const auto& t) { return t.first.find("key.bias") != std::string::npos; });
  EXPECT_NE(complaint(hf).find("'blocks.0.attn.qkv.bias', and the file lacks the key's"),
            std::string::npos)
      << complaint(hf);
}

// torch.compile, checkpointing and FSDP of a block or a layer, and DINOv2's chunks of blocks.
TEST(NameMap, WhatWrapsModulesIsPassedOver) {
  const NamedTensors before = encoder_tensors();
  for (const auto& [from, to] : {std::pair{"blocks.0.", "blocks.0._orig_mod."},
                                 {"blocks.0.", "blocks.0._checkpoint_wrapped_module."},
                                 {"blocks.0.", "blocks.0._fsdp_wrapped_module.module."},
                                 {"blocks.0.", "_orig_mod.blocks.0._checkpoint_wrapped_module."},
                                 {"blocks.0.mlp.", "blocks.0.mlp.module."},
                                 {"patch_embed.", "patch_embed._orig_mod."},
                                 {"blocks.0.", "blocks.3.0."},
                                 {"blocks.0.", "blocks.3._orig_mod.0."}}) {
    NamedTensors wrapped = with_prefix("teacher.backbone.", before);
    for (auto& [name, unused] : wrapped)
      if (const std::size_t at = name.find(from); at != std::string::npos)
        name.replace(at, std::string(from).size(), to);
    wrapped.emplace_back("teacher.dino_head._orig_mod.mlp.0.weight", at::zeros({1}));
    const NativeTensors after = to_native(wrapped);
    EXPECT_EQ(names_of(after.tensors), names_of(before)) << to;
    EXPECT_EQ(after.left_out, std::vector<std::string>{"teacher.dino_head._orig_mod.mlp.0.weight"});
  }
  NamedTensors twice = before;
  twice.emplace_back("blocks.0._orig_mod.norm1.weight", at::zeros({16}));
  EXPECT_NE(complaint(twice).find("two tensors for 'blocks.0.norm1.weight'"), std::string::npos);
}

// ClsBatchNormNeck and VisionTransformerClsHead of mmpretrain's linear probe.
TEST(NameMap, MmpretrainsProbeIsMaes) {
  NamedTensors file = from_native(encoder_tensors(), Family::mmpretrain);
  file.emplace_back("neck.bn.running_mean", at::zeros({16}));
  file.emplace_back("neck.bn.running_var", at::zeros({16}));
  file.emplace_back("neck.bn.num_batches_tracked", at::zeros({}, at::kLong));
  file.emplace_back("head.layers.head.weight", at::zeros({3, 16}));
  file.emplace_back("head.layers.head.bias", at::zeros({3}));
  std::set<std::string> expected = names_of(encoder_tensors());
  expected.insert({"head.0.running_mean", "head.0.running_var", "head.1.weight", "head.1.bias"});
  EXPECT_EQ(names_of(to_native(file).tensors), expected);
}

TEST(NameMap, WeightsOfOtherTypesAreRefusedByName) {
  for (const at::ScalarType type :
       {at::kChar, at::kUInt16, at::kFloat8_e4m3fn, at::kComplexFloat}) {
    NamedTensors file = with_prefix("model.", encoder_tensors());
    file.emplace_back("optimizer.step", at::empty({1}, type));  // not part of the model: no matter
    EXPECT_EQ(complaint(file), "");
    for (auto& [name, tensor] : file)
      if (name == "model.norm.bias") tensor = at::empty({16}, type);
    EXPECT_NE(complaint(file).find("tensor 'model.norm.bias' has the type "), std::string::npos);
  }
}

}  // namespace
}  // namespace sgmae
