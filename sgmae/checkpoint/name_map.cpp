#include "sgmae/checkpoint/name_map.h"

#include <ATen/ops/cat.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

struct FamilyEntry {
  Family family;
  const char *name, *title;
};

constexpr FamilyEntry family_entries[] = {
    {Family::sgmae, "sgmae", "a model of sgmae"},
    {Family::mae, "mae", "a model of MAE (facebookresearch/mae)"},
    {Family::hpm, "hpm", "a model of HPM (hard patches mining)"},
    {Family::amt, "amt", "a model of AMT (attention-driven masking)"},
    {Family::timm, "timm", "a ViT with timm's names"},
    {Family::dinov2, "dinov2", "a ViT of DINOv2"},
    {Family::moco_v3, "moco_v3", "a ViT of MoCo v3"},
    {Family::hf_vit_mae, "hf_vit_mae", "a ViTMAE of Hugging Face transformers"},
    {Family::hf_vit, "hf_vit", "a ViT of Hugging Face transformers"},
    {Family::hf_dinov2, "hf_dinov2", "a DINOv2 of Hugging Face transformers"},
    {Family::mmpretrain, "mmpretrain", "an MAE of mmpretrain"},
};

const FamilyEntry& entry_of(Family family) {
  for (const FamilyEntry& entry : family_entries)
    if (entry.family == family) return entry;
  SGMAE_ASSERT(false);
  return family_entries[0];
}

using Rules = std::vector<NameRule>;

void append(Rules& rules, const Rules& more) {
  rules.insert(rules.end(), more.begin(), more.end());
}

// MAE and timm: the same on both sides.
Rules same_names(const std::vector<std::string>& names) {
  Rules rules;
  for (const std::string& name : names) rules.push_back({name, {name}});
  return rules;
}

const std::vector<std::string> native_names{
    "cls_token",
    "pos_embed",
    "mask_token",
    "decoder_pos_embed",
    "reg_token",
    "patch_embed.proj.*",
    "norm.*",
    "fc_norm.*",
    "head.weight",
    "head.bias",
    "head.0.running_mean",
    "head.1.*",
    "head.0.running_var",
    "decoder_embed.*",
    "decoder_norm.*",
    "decoder_pred.weight",
    "decoder_pred.bias",
};

// Every name that a block can have: what is none of them makes another model of it.
const std::vector<std::string> native_block_names{
    "norm1.*",
    "attn.qkv.*",
    "attn.proj.*",
    "norm2.*",
    "mlp.fc1.*",
    "mlp.fc2.*",
    "ls1.gamma",
    "ls2.gamma",
    "attn.rel_pos_h",
    "attn.rel_pos_w",
    "attn.relative_position_bias_table",
};

// What wraps modules, and stands within their names: torch.compile, checkpointing of activations,
// FSDP, DataParallel.
constexpr std::string_view wrappers[] = {"_orig_mod", "_checkpoint_wrapped_module",
                                         "_fsdp_wrapped_module", "module"};

// Blocks of transformers as published and as saved by 4.x and 5.x.
Rules hf_blocks(const std::string& native, const std::string& theirs) {
  const std::string attention = theirs + "attention.attention.";
  return {
      {native + "norm1.*", {theirs + "layernorm_before.*"}},
      {native + "norm2.*", {theirs + "layernorm_after.*"}},
      {native + "attn.qkv.*", {attention + "query.*", attention + "key.*", attention + "value.*"}},
      {native + "attn.proj.*", {theirs + "attention.output.dense.*"}},
      {native + "mlp.fc1.*", {theirs + "intermediate.dense.*"}},
      {native + "mlp.fc2.*", {theirs + "output.dense.*"}}};
}

// Blocks of transformers 5 in memory.
Rules hf5_blocks(const std::string& native, const std::string& theirs) {
  const std::string attention = theirs + "attention.";
  return {{native + "norm1.*", {theirs + "layernorm_before.*"}},
          {native + "norm2.*", {theirs + "layernorm_after.*"}},
          {native + "attn.qkv.*",
           {attention + "q_proj.*", attention + "k_proj.*", attention + "v_proj.*"}},
          {native + "attn.proj.*", {attention + "o_proj.*"}},
          {native + "mlp.fc1.*", {theirs + "mlp.fc1.*"}},
          {native + "mlp.fc2.*", {theirs + "mlp.fc2.*"}}};
}

// `prefix` is "vit.", or "" where the bare ViTModel or ViTMAEModel was saved.
Rules hf_vit_rules(const std::string& prefix) {
  Rules rules{{"cls_token", {prefix + "embeddings.cls_token"}},
              {"pos_embed", {prefix + "embeddings.position_embeddings"}},
              {"patch_embed.proj.*", {prefix + "embeddings.patch_embeddings.projection.*"}},
              {"norm.*", {prefix + "layernorm.*"}},
              {"head.*", {"classifier.*"}}};
  append(rules, hf_blocks("blocks.#.", prefix + "encoder.layer.#."));
  append(rules, hf5_blocks("blocks.#.", prefix + "layers.#."));
  return rules;
}

Rules hf_decoder_rules() {
  Rules rules{{"mask_token", {"decoder.mask_token"}},
              {"decoder_pos_embed", {"decoder.decoder_pos_embed"}},
              {"decoder_embed.*", {"decoder.decoder_embed.*"}},
              {"decoder_norm.*", {"decoder.decoder_norm.*"}},
              {"decoder_pred.*", {"decoder.decoder_pred.*"}}};
  append(rules, hf_blocks("decoder_blocks.#.", "decoder.decoder_layers.#."));
  append(rules, hf_blocks("decoder_blocks.#.", "decoder.decoder_encoder.layer.#."));
  append(rules, hf5_blocks("decoder_blocks.#.", "decoder.decoder_layers.#."));
  return rules;
}

Rules hf_dinov2_rules() {
  const std::string block = "encoder.layer.#.";
  const std::string attention = block + "attention.attention.", attention5 = block + "attention.";
  return {
      {"cls_token", {"embeddings.cls_token"}},
      {"reg_token", {"embeddings.register_tokens"}},
      {"pos_embed", {"embeddings.position_embeddings"}},
      {"patch_embed.proj.*", {"embeddings.patch_embeddings.projection.*"}},
      {"norm.*", {"layernorm.*"}},
      {"blocks.#.norm1.*", {block + "norm1.*"}},
      {"blocks.#.norm2.*", {block + "norm2.*"}},
      {"blocks.#.attn.qkv.*", {attention + "query.*", attention + "key.*", attention + "value.*"}},
      {"blocks.#.attn.qkv.*",
       {attention5 + "q_proj.*", attention5 + "k_proj.*", attention5 + "v_proj.*"}},
      {"blocks.#.attn.proj.*", {block + "attention.output.dense.*"}},
      {"blocks.#.attn.proj.*", {attention5 + "o_proj.*"}},
      {"blocks.#.ls1.gamma", {block + "layer_scale1.lambda1"}},
      {"blocks.#.ls2.gamma", {block + "layer_scale2.lambda1"}},
      {"blocks.#.mlp.fc1.*", {block + "mlp.fc1.*"}},
      {"blocks.#.mlp.fc2.*", {block + "mlp.fc2.*"}}};
}

Rules mm_blocks(const std::string& native, const std::string& theirs) {
  return {{native + "norm1.*", {theirs + "ln1.*"}},
          {native + "norm2.*", {theirs + "ln2.*"}},
          {native + "attn.qkv.*", {theirs + "attn.qkv.*"}},
          {native + "attn.proj.*", {theirs + "attn.proj.*"}},
          {native + "mlp.fc1.*", {theirs + "ffn.layers.0.0.*"}},
          {native + "mlp.fc2.*", {theirs + "ffn.layers.1.*"}}};
}

Rules mm_rules() {
  Rules rules{{"cls_token", {"backbone.cls_token"}},
              {"pos_embed", {"backbone.pos_embed"}},
              {"patch_embed.proj.*", {"backbone.patch_embed.projection.*"}},
              {"norm.*", {"backbone.ln1.*"}},
              {"fc_norm.*", {"backbone.ln2.*"}},
              {"head.weight", {"head.fc.weight"}},
              {"head.bias", {"head.fc.bias"}},
              {"head.weight", {"head.layers.head.weight"}},
              {"head.bias", {"head.layers.head.bias"}},
              {"head.0.running_mean", {"neck.bn.running_mean"}},
              {"head.0.running_var", {"neck.bn.running_var"}},
              {"mask_token", {"neck.mask_token"}},
              {"decoder_pos_embed", {"neck.decoder_pos_embed"}},
              {"decoder_embed.*", {"neck.decoder_embed.*"}},
              {"decoder_norm.*", {"neck.ln1.*"}},
              {"decoder_pred.*", {"neck.decoder_pred.*"}}};
  append(rules, mm_blocks("blocks.#.", "backbone.layers.#."));
  append(rules, mm_blocks("decoder_blocks.#.", "neck.decoder_blocks.#."));
  return rules;
}

std::vector<NameMap> make_maps() {
  Rules hf_mae = hf_vit_rules("vit."), timm = same_names(native_names);
  for (const char* blocks : {"blocks.#.", "decoder_blocks.#."})
    for (const std::string& name : native_block_names)
      timm.push_back({blocks + name, {blocks + name}});
  Rules dino = timm;
  append(hf_mae, hf_decoder_rules());
  dino.push_back({"reg_token", {"register_tokens"}});
  return {
      // Longer names first: a bare ViTModel's names are the ends of a ViTMAE's.
      // ViTForMaskedImageModeling has a convolution for its decoder.
      {Family::hf_vit_mae,
       hf_mae,
       {"vit.pooler.*", "vit.embeddings.mask_token", "decoder.0.weight", "decoder.0.bias"}},
      {Family::hf_vit, hf_vit_rules(""), {"pooler.*", "embeddings.mask_token"}},
      {Family::hf_dinov2, hf_dinov2_rules(), {"embeddings.mask_token"}},
      {Family::mmpretrain,
       mm_rules(),
       {"data_preprocessor.*", "target_generator.*", "neck.bn.num_batches_tracked"}},
      // MAE, timm, DINOv2, MoCo v3, HPM, AMT and ours. Loss predictor and position means are no
      // part of the autoencoder; num_batches_tracked counts what nothing here needs.
      {Family::timm,
       dino,
       {"decoder_blocks_losspred.*", "decoder_norm_losspred.*", "decoder_pred_losspred.*",
        "guide.position_mean", "head.0.num_batches_tracked"}},
  };
}

// What `#` and `*` stood for.
struct Match {
  std::string number, rest;
};

std::optional<Match> match(std::string_view pattern, std::string_view name) {
  Match found;
  std::size_t at = 0;
  for (const char c : pattern) {
    if (c == '*') {
      found.rest = name.substr(at);
      return found;
    }
    if (c == '#') {
      const std::size_t begin = at;
      while (at < name.size() && name[at] >= '0' && name[at] <= '9') ++at;
      if (at == begin) return std::nullopt;
      found.number = name.substr(begin, at - begin);
    } else if (at == name.size() || name[at++] != c) {
      return std::nullopt;
    }
  }
  if (at != name.size()) return std::nullopt;
  return found;
}

std::string fill(std::string_view pattern, const Match& match) {
  std::string name;
  for (const char c : pattern) {
    if (c == '#')
      name += match.number;
    else if (c == '*')
      name += match.rest;
    else
      name += c;
  }
  return name;
}

bool is_ignored(const NameMap& map, std::string_view name) {
  return std::any_of(map.ignored.begin(), map.ignored.end(),
                     [&](const std::string& pattern) { return match(pattern, name); });
}

const std::string& their_name(const NameMap& map, std::string_view native) {
  const auto found = std::find_if(map.rules.begin(), map.rules.end(),
                                  [&](const NameRule& rule) { return rule.native == native; });
  SGMAE_ASSERT(found != map.rules.end());
  return found->theirs[0];
}

// Of several models in one file, those whose prefix says this come last: slow copies, as MoCo and
// BYOL call theirs too, and, for DINO, the student, since the teacher is the model that is
// evaluated.
int preference(const std::string& prefix) {
  for (const char* word :
       {"ema", "momentum", "student", "encoder_k", "key_encoder", "target_network"})
    if (prefix.find(word) != std::string::npos) return 1;
  return 0;
}

// What stands before the map's names, where the file holds a class token, if the model has one, a
// patch embedding and a block under them.
std::optional<std::string> find_prefix(const NameMap& map, const NamedTensors& tensors,
                                       bool class_token) {
  const std::string patches = fill(their_name(map, "patch_embed.proj.*"), {"", "weight"});
  const std::string& first = class_token ? their_name(map, "cls_token") : patches;
  const auto holds = [&](const std::string& name) {
    return std::any_of(tensors.begin(), tensors.end(),
                       [&](const auto& tensor) { return tensor.first == name; });
  };
  const auto holds_block = [&](const std::string& prefix) {
    return std::any_of(map.rules.begin(), map.rules.end(), [&](const NameRule& rule) {
      const auto found = match(rule.native, "blocks.0.norm1.weight");
      return found && holds(prefix + fill(rule.theirs[0], *found));
    });
  };
  std::optional<std::string> best;
  for (const auto& [name, unused] : tensors) {
    if (!name.ends_with(first)) continue;
    const std::string prefix = name.substr(0, name.size() - first.size());
    if (!prefix.empty() && prefix.back() != '.') continue;
    if (!holds(prefix + patches) || !holds_block(prefix)) continue;
    if (!best || preference(prefix) < preference(*best)) best = prefix;
  }
  return best;
}

std::string first_names(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < std::min<std::size_t>(3, names.size()); ++i)
    text += (i > 0 ? ", '" : "'") + names[i] + "'";
  if (names.size() > 3) text += str(" and ", names.size() - 3, " more");
  return text;
}

bool is_number(std::string_view part) {
  return !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos;
}

// A name without what wraps modules, and without the chunk in front of a block's number, as DINOv2
// trains: blocks.1._orig_mod.2.norm1.weight -> blocks.2.norm1.weight.
std::string plain_name(std::string_view name) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('.', begin), name.size());
    const std::string_view part = name.substr(begin, end - begin);
    begin = end + 1;
    if (std::find(std::begin(wrappers), std::end(wrappers), part) != std::end(wrappers)) continue;
    const std::size_t n = parts.size();
    if (n >= 2 && is_number(part) && is_number(parts[n - 1]) && parts[n - 2] == "blocks")
      parts.pop_back();
    parts.push_back(part);
  }
  std::string plain;
  for (const std::string_view part : parts) (plain += plain.empty() ? "" : ".") += part;
  return plain;
}

// DINOv2 has a mask token for its own training, without a decoder.
void drop_lone_mask_token(NativeTensors& native) {
  const auto is = [](const char* name) {
    return [name](const auto& tensor) { return tensor.first == name; };
  };
  auto& tensors = native.tensors;
  if (std::any_of(tensors.begin(), tensors.end(), is("decoder_embed.weight"))) return;
  if (std::erase_if(tensors, is("mask_token")) > 0) native.left_out.push_back("mask_token");
}

// mmpretrain calls the layer of a probe, behind a batch norm, as that of any classifier.
void rename_probe_head(NamedTensors& tensors) {
  if (!find_tensor(tensors, "head.0.running_mean")) return;
  for (auto& [name, tensor] : tensors)
    if (name == "head.weight" || name == "head.bias") name.replace(0, 5, "head.1.");
}

// Weights have no other types: integers are those of a quantised model, whose scales are elsewhere.
void check_type(const std::string& name, const at::Tensor& tensor) {
  const at::ScalarType type = tensor.scalar_type();
  check(type == at::kFloat || type == at::kHalf || type == at::kBFloat16 || type == at::kDouble,
        ExitCode::checkpoint, "tensor '", name, "' has the type ", info(dtype_of(tensor)).name,
        ", and weights must be F64, F32, F16 or BF16; save the model in one of these");
}

NativeTensors translate(const NameMap& map, const std::string& prefix, const NamedTensors& tensors,
                        const std::vector<std::string>& full_names) {
  NativeTensors native{&map, prefix, {}, {}};
  // Parts of a qkv by its native name: position in native.tensors, and query, key, value.
  std::map<std::string, std::pair<std::size_t, std::array<at::Tensor, 3>>> joined;
  std::vector<std::string> unknown;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const auto& [plain, tensor] = tensors[i];
    const bool inside = plain.starts_with(prefix);
    const std::string name = inside ? plain.substr(prefix.size()) : plain;
    // MoCo v3's head is a projection that it throws away after pre-training.
    const bool projection = prefix.ends_with("base_encoder.") && name.starts_with("head.");
    if (!inside || projection || is_ignored(map, name)) {
      native.left_out.push_back(full_names[i]);
      continue;
    }
    bool known = false;
    for (const NameRule& rule : map.rules) {
      for (std::size_t part = 0; part < rule.theirs.size() && !known; ++part) {
        const auto found = match(rule.theirs[part], name);
        if (!found) continue;
        known = true;
        check_type(full_names[i], tensor);
        const std::string native_name = fill(rule.native, *found);
        if (rule.theirs.size() == 1) {
          native.tensors.emplace_back(native_name, tensor);
          continue;
        }
        const auto [entry, is_new] =
            joined.try_emplace(native_name, native.tensors.size(), std::array<at::Tensor, 3>{});
        if (is_new) native.tensors.emplace_back(native_name, at::Tensor());
        entry->second.second[part] = tensor;
      }
      if (known) break;
    }
    if (!known) unknown.push_back(full_names[i]);
  }
  check(unknown.empty(), ExitCode::checkpoint, "looks like ", title_of(map.family), ", but ",
        first_names(unknown), unknown.size() == 1 ? " has" : " have",
        " no place in such a model; sgmae reads plain ViTs only");
  for (const auto& [name, entry] : joined) {
    const auto& [position, parts] = entry;
    check(parts[0].defined() && parts[1].defined() && parts[2].defined(), ExitCode::checkpoint,
          "query, key and value make up '", name, "', and the file lacks the ",
          !parts[0].defined()   ? "query"
          : !parts[1].defined() ? "key"
                                : "value",
          "'s");
    check(parts[0].dim() > 0 && parts[0].sizes() == parts[1].sizes() &&
              parts[0].sizes() == parts[2].sizes(),
          ExitCode::checkpoint, "query, key and value for '", name, "' differ in shape");
    native.tensors[position].second = at::cat({parts[0], parts[1], parts[2]}, 0);
  }
  drop_lone_mask_token(native);
  rename_probe_head(native.tensors);
  std::set<std::string_view> names;
  for (const auto& [name, tensor] : native.tensors)
    check(names.insert(name).second, ExitCode::checkpoint, "holds two tensors for '", name,
          "'; save one model in a file");
  return native;
}

}  // namespace

const char* name_of(Family family) {
  return entry_of(family).name;
}

const char* title_of(Family family) {
  return entry_of(family).title;
}

std::optional<Family> family_named(std::string_view name) {
  for (const FamilyEntry& entry : family_entries)
    if (entry.name == name) return entry.family;
  return std::nullopt;
}

const std::vector<NameMap>& name_maps() {
  static const std::vector<NameMap> maps = make_maps();
  return maps;
}

const NameMap& name_map(Family family) {
  for (const NameMap& map : name_maps())
    if (map.family == family) return map;
  return name_map(Family::timm);  // those that share MAE's names
}

NativeTensors to_native(const NamedTensors& tensors, bool class_token) {
  NamedTensors plain;
  std::vector<std::string> names;
  for (const auto& [name, tensor] : tensors) {
    plain.emplace_back(plain_name(name), tensor);
    names.push_back(name);
  }
  for (const NameMap& map : name_maps())
    if (const auto prefix = find_prefix(map, plain, class_token))
      return translate(map, *prefix, plain, names);
  for (const NameMap& map : name_maps())
    check(!class_token || !find_prefix(map, plain, false), ExitCode::checkpoint, "looks like ",
          title_of(map.family), ", but has no class token ('", their_name(map, "cls_token"),
          "'); of other programs' models sgmae reads those that have one");
  fail(ExitCode::checkpoint,
       "no ViT of a known family (tried MAE, timm, DINOv2, MoCo v3, HPM, AMT, Hugging Face ViT, "
       "ViTMAE and DINOv2, mmpretrain); ",
       names.empty() ? "it holds no tensors" : "its first tensors are " + first_names(names));
}

NamedTensors from_native(const NamedTensors& tensors, Family family) {
  const NameMap& map = name_map(family);
  NamedTensors theirs;
  for (const auto& [name, tensor] : tensors) {
    std::optional<Match> found;
    for (const NameRule& rule : map.rules) {
      found = match(rule.native, name);
      if (!found) continue;
      const auto parts =
          rule.theirs.size() == 1 ? std::vector<at::Tensor>{tensor} : tensor.chunk(3, 0);
      for (std::size_t part = 0; part < parts.size(); ++part)
        theirs.emplace_back(fill(rule.theirs[part], *found), parts[part]);
      break;
    }
    check(found.has_value(), ExitCode::usage, "files of ", name_of(family), " have no place for '",
          name, "'; choose another --to");
  }
  return theirs;
}

}  // namespace sgmae
