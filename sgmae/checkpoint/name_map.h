// How checkpoint families name their tensors. Inside sgmae everything has MAE's own ("native")
// names; each other layout is a table of pairs of patterns, used in both directions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sgmae/io/tensors.h"

namespace sgmae {

enum class Family {
  sgmae,       // our own: MAE's names in safetensors, metadata entry `sgmae`
  mae,         // facebookresearch/mae: pre-trained, fine-tuned, linear probe
  hpm,         // Hard Patches Mining: MAE's names and a second decoder that predicts losses
  amt,         // attention-driven masking: MAE's names
  timm,        // timm's VisionTransformer
  dinov2,      // DINOv2: LayerScale, perhaps registers
  moco_v3,     // MoCo v3: timm's names below module.base_encoder.
  hf_vit_mae,  // transformers' ViTMAE
  hf_vit,      // transformers' ViT
  hf_dinov2,   // transformers' Dinov2
  mmpretrain   // OpenMMLab's MAE
};

const char* name_of(Family family);   // as on the command line: "hf_vit_mae"
const char* title_of(Family family);  // "a ViT of MoCo v3"
std::optional<Family> family_named(std::string_view name);

// A pair of patterns; `#` stands for a block's number, `*` for the end of the name. Where `theirs`
// has three entries they are query, key and value, whose rows together are the native qkv. Several
// rules may have the same native name: all are read, the first is written.
struct NameRule {
  std::string native;
  std::vector<std::string> theirs;
};

struct NameMap {
  Family family;  // of plain files with these names
  std::vector<NameRule> rules;
  std::vector<std::string> ignored;  // their names that say nothing about a ViT: left out quietly
};

// All layouts, in the order in which they are tried.
const std::vector<NameMap>& name_maps();
const NameMap& name_map(Family family);

struct NativeTensors {
  const NameMap* map = nullptr;       // the layout recognised
  std::string prefix;                 // what stood before every name, e.g. "base_encoder."
  NamedTensors tensors;               // native names, in the file's order
  std::vector<std::string> left_out;  // names of the file that are no part of the model
};

// Recognises the layout by its keys and translates. What wraps modules ("module.", "_orig_mod." …)
// is passed over wherever it stands in a name, and so are the chunks of DINOv2's blocks.
// `class_token` says whether the model has one, as all have but those of our own files that say
// otherwise. Throws Error(checkpoint), without the file's name: for tensors of no known layout,
// with those tried and the first names found; for tensors that have no place in the model or
// another type than weights have; for a query, key or value without the other two.
NativeTensors to_native(const NamedTensors& tensors, bool class_token = true);

// Native tensors under a family's names. Throws Error(usage), naming the tensor, for what the
// family has no name for.
NamedTensors from_native(const NamedTensors& tensors, Family family);

}  // namespace sgmae
