#include "sgmae/checkpoint/write_model.h"

#include <algorithm>
#include <system_error>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/io/safetensors.h"
#include "sgmae/io/torch_file.h"

namespace sgmae {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
namespace fs = std::filesystem;

std::string our_metadata(const json& config, const ModelInfo& info, Family family) {
  json metadata = to_json(info);
  metadata["family"] = name_of(family);
  metadata["config"] = config;
  return metadata.dump(-1, ' ', false, json::error_handler_t::replace);  // names need not be UTF-8
}

NamedTensors without_decoder(NamedTensors tensors) {
  std::erase_if(tensors, [](const auto& tensor) { return !is_encoder_tensor(tensor.first); });
  return tensors;
}

// timm gives the class token of a model with registers no position: it is added to the token.
NamedTensors without_class_position(NamedTensors tensors) {
  at::Tensor position;
  for (auto& [name, tensor] : tensors)
    if (name == "pos_embed") {
      position = tensor.narrow(1, 0, 1);
      tensor = tensor.narrow(1, 1, tensor.size(1) - 1);
    }
  for (auto& [name, tensor] : tensors)
    if (name == "cls_token") tensor = tensor.add(position);
  return tensors;
}

json image_size(const VitConfig& config) {
  if (config.height == config.width) return config.height;
  return {config.height, config.width};
}

ordered_json hf_config(const ModelFile& file, Family family) {
  const VitConfig& vit = file.vit;
  ordered_json config{{"hidden_size", vit.size.dim},
                      {"num_hidden_layers", vit.size.depth},
                      {"num_attention_heads", vit.size.heads},
                      {"hidden_act", "gelu"},
                      {"hidden_dropout_prob", 0.0},
                      {"attention_probs_dropout_prob", 0.0},
                      {"initializer_range", 0.02},
                      {"layer_norm_eps", vit.layer_norm_eps},
                      {"image_size", image_size(vit)},
                      {"patch_size", vit.patch_size},
                      {"num_channels", vit.channels},
                      {"qkv_bias", true},
                      {"torch_dtype", "float32"}};
  if (family == Family::hf_dinov2) {
    config["model_type"] = vit.registers > 0 ? "dinov2_with_registers" : "dinov2";
    config["architectures"] = {vit.registers > 0 ? "Dinov2WithRegistersModel" : "Dinov2Model"};
    check(vit.mlp_hidden % vit.size.dim == 0, ExitCode::usage,
          "transformers' Dinov2 needs an MLP whose size is a multiple of the width; this one has ",
          vit.mlp_hidden, " for ", vit.size.dim);
    config["mlp_ratio"] = vit.mlp_hidden / vit.size.dim;
    config["use_mask_token"] = false;
    if (vit.registers > 0) config["num_register_tokens"] = vit.registers;
    return config;
  }
  config["intermediate_size"] = vit.mlp_hidden;
  if (family == Family::hf_vit_mae) {
    config["model_type"] = "vit_mae";
    config["architectures"] = {"ViTMAEForPreTraining"};
    config["decoder_hidden_size"] = file.mae->decoder.dim;
    config["decoder_num_hidden_layers"] = file.mae->decoder.depth;
    config["decoder_num_attention_heads"] = file.mae->decoder.heads;
    config["decoder_intermediate_size"] = file.mae->decoder_mlp();
    config["mask_ratio"] = 0.75;
    config["norm_pix_loss"] = file.mae->norm_pix_loss;
    return config;
  }
  config["model_type"] = "vit";
  config["architectures"] = {vit.classes > 0 ? "ViTForImageClassification" : "ViTModel"};
  if (vit.classes > 0) {
    ordered_json labels = ordered_json::object(), ids = ordered_json::object();
    for (std::int64_t i = 0; i < vit.classes; ++i) {
      labels[std::to_string(i)] = str("LABEL_", i);
      ids[str("LABEL_", i)] = i;
    }
    config["id2label"] = labels;
    config["label2id"] = ids;
  }
  return config;
}

ordered_json hf_preprocessor(const ModelFile& file) {
  return {{"image_processor_type", "ViTImageProcessor"},
          {"do_resize", true},
          {"size", {{"height", file.vit.height}, {"width", file.vit.width}}},
          {"resample", 3},                    // bicubic
          {"do_rescale", !file.info.stored},  // values as stored
          {"rescale_factor", 1.0 / 255},
          {"do_normalize", true},
          {"image_mean", file.info.mean},
          {"image_std", file.info.std}};
}

void write_hf(const fs::path& folder, const ModelFile& file, NamedTensors tensors, Family family) {
  tensors = from_native(tensors, family);
  // ViTForImageClassification has its encoder under vit.; the bare ViTModel has no prefix.
  if (family == Family::hf_vit && file.vit.classes > 0)
    for (auto& [name, tensor] : tensors)
      if (!name.starts_with("classifier.")) name = "vit." + name;
  const ordered_json config = hf_config(file, family);
  std::error_code error;
  fs::create_directories(folder, error);
  check(!error, ExitCode::usage, "cannot create the folder ", folder.string(), ": ",
        error.message(), "; choose another name");
  write_safetensors(folder / "model.safetensors", tensors, {{"format", "pt"}});
  write_file(folder / "preprocessor_config.json", hf_preprocessor(file).dump(2) + "\n");
  write_file(folder / "config.json", config.dump(2) + "\n");  // last: without it there is no model
}

void check_target(const ModelFile& file, Family family, bool decoder) {
  const VitConfig& vit = file.vit;
  const bool plain = !vit.layer_scale && vit.registers == 0;
  const char* const name = name_of(family);
  check(family == Family::sgmae ||
            (vit.class_token && vit.position_embedding && vit.final_norm && vit.attention.empty()),
        ExitCode::usage, "the family ", name,
        " has no windows and no relative positions, and none of its models is without class token, "
        "position embedding or final norm; use --to sgmae");
  switch (family) {
    case Family::sgmae:
      return;
    case Family::timm:
      return;
    case Family::mae:
    case Family::mmpretrain:
      check(plain, ExitCode::usage, "the family ", name,
            " has no LayerScale and no registers; use --to timm");
      return;
    case Family::hf_vit_mae:
      check(decoder, ExitCode::usage, "the family ", name,
            " needs the decoder, and this file holds an encoder only; use --to hf_vit");
      check(vit.height == vit.width, ExitCode::usage, "the family ", name,
            " has square images only, and this model's are ", vit.height, "x", vit.width,
            "; use --to mae, or --to hf_vit for the encoder");
      return;
    case Family::hf_vit:
      check(plain, ExitCode::usage, "the family ", name,
            " has no LayerScale and no registers; use --to hf_dinov2");
      check(vit.pooling == Pooling::cls && !vit.batch_norm_head, ExitCode::usage, "the family ",
            name, " classifies by the class token alone, this model by ",
            vit.batch_norm_head ? "a batch-normalised probe" : "the patches' mean",
            "; use --to mae or --to timm");
      return;
    case Family::hf_dinov2:
      check(vit.layer_scale && vit.classes == 0 && vit.pooling == Pooling::cls, ExitCode::usage,
            "the family ", name,
            " holds encoders with LayerScale and without a head; use --to hf_vit");
      return;
    default:
      fail(ExitCode::usage, "files of the family ", name,
           " are read, not written; choose sgmae, mae, timm, hf_vit_mae, hf_vit, hf_dinov2 or "
           "mmpretrain");
  }
}

}  // namespace

bool is_encoder_tensor(const std::string& native_name) {
  return native_name != "mask_token" && !native_name.starts_with("decoder_");
}

NamedTensors values_of(const std::vector<Parameter>& parameters) {
  NamedTensors tensors;
  for (const Parameter& parameter : parameters)
    tensors.emplace_back(parameter.name, parameter.value);
  return tensors;
}

void save_tensors(const fs::path& path, NamedTensors tensors, const json& config,
                  const ModelInfo& info) {
  if (info.position_mean.defined()) tensors.emplace_back(position_mean_name, info.position_mean);
  write_safetensors(path, tensors,
                    {{"format", "pt"}, {"sgmae", our_metadata(config, info, Family::sgmae)}});
}

void save_mae(const fs::path& path, const Mae& model, const ModelInfo& info) {
  save_tensors(path, values_of(model.parameters()), to_json(model.config()), info);
}

void save_vit(const fs::path& path, const Vit& model, const ModelInfo& info) {
  save_tensors(path, values_of(model.parameters()), to_json(model.config()), info);
}

void write_model(const fs::path& path, const ModelFile& file, Family family) {
  check_target(file, family, file.find("mask_token") != nullptr);
  const json config = file.mae ? to_json(*file.mae) : to_json(file.vit);
  switch (family) {
    case Family::sgmae:
      save_tensors(path, file.tensors, config, file.info);
      return;
    case Family::hf_vit_mae:
      write_hf(path, file, file.tensors, family);
      return;
    case Family::hf_vit:
    case Family::hf_dinov2:
      write_hf(path, file, without_decoder(file.tensors), family);
      return;
    case Family::timm: {
      const NamedTensors tensors = file.vit.registers > 0 ? without_class_position(file.tensors)
                                                          : without_decoder(file.tensors);
      write_safetensors(
          path, from_native(tensors, family),
          {{"format", "pt"}, {"sgmae", our_metadata(to_json(file.vit), file.info, family)}});
      return;
    }
    default:
      write_torch_file(path, {{family == Family::mae ? "model" : "state_dict",
                               {torch_dict(from_native(file.tensors, family))}},
                              {"sgmae", {json(our_metadata(config, file.info, family))}}});
      return;
  }
}

}  // namespace sgmae
