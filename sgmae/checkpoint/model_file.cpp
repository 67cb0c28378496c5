#include "sgmae/checkpoint/model_file.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "sgmae/base/error.h"
#include "sgmae/base/json.h"
#include "sgmae/checkpoint/checkpoint_name.h"
#include "sgmae/checkpoint/model_json.h"
#include "sgmae/image/normalise.h"
#include "sgmae/io/checkpoint_file.h"

namespace sgmae {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

std::int64_t count_blocks(const NamedTensors& tensors, const std::string& prefix) {
  std::set<std::string> numbers;
  for (const auto& [name, unused] : tensors)
    if (name.starts_with(prefix))
      numbers.insert(name.substr(prefix.size(), name.find('.', prefix.size()) - prefix.size()));
  return static_cast<std::int64_t>(numbers.size());
}

Family family_of(const NativeTensors& native, const CheckpointContent& content,
                 const ModelFile& file) {
  const auto has = [&](const char* name) { return file.find(name) != nullptr; };
  const auto left_out = [&](const char* part) {
    return std::any_of(file.left_out.begin(), file.left_out.end(), [&](const std::string& name) {
      return name.find(part) != std::string::npos;
    });
  };
  switch (native.map->family) {
    case Family::hf_vit_mae:
    case Family::hf_vit: {
      const auto type = json_value<std::string>(json_member(content.extra, "config"), "model_type");
      if (type == "vit_mae" || has("mask_token")) return Family::hf_vit_mae;
      return Family::hf_vit;
    }
    case Family::timm:
      break;
    default:
      return native.map->family;
  }
  if (native.prefix.ends_with("base_encoder.") || native.prefix.ends_with("momentum_encoder."))
    return Family::moco_v3;
  if (has("blocks.0.ls1.gamma") || has("reg_token")) return Family::dinov2;
  if (left_out("decoder_blocks_losspred.")) return Family::hpm;
  const json& args = json_member(content.extra, "args");
  if (args.is_object())
    for (const auto& [key, unused] : args.items())
      if (key.find("throw") != std::string::npos) return Family::amt;
  const bool mae = has("mask_token") || native.prefix.ends_with("model.") || has("head.1.weight");
  return mae ? Family::mae : Family::timm;
}

class Reader {
 public:
  Reader(ModelFile& file, const OpenOptions& options) : file_(file), options_(options) {}

  void read(const CheckpointContent& content);

 private:
  const at::Tensor& tensor(const std::string& name, std::int64_t dims) const;
  VitConfig vit_config();
  MaeConfig mae_config();
  std::int64_t heads_of(std::int64_t dim, std::int64_t asked,
                        const std::optional<std::int64_t>& told, bool decoder);
  void read_grid(VitConfig& config);
  void check_tables(const VitConfig& config) const;
  void compare(const json& told, const json& found) const;

  ModelFile& file_;
  const OpenOptions& options_;
  DescribedModel described_;
  bool normed_mean_ = false;  // the tensors of such a head look like those on CLS
};

const at::Tensor& Reader::tensor(const std::string& name, std::int64_t dims) const {
  const at::Tensor* found = file_.find(name);
  check(found, ExitCode::checkpoint, "tensor '", name,
        "' is missing; the file is not a whole model, use another checkpoint");
  check(found->dim() == dims && found->numel() > 0, ExitCode::checkpoint, "tensor '", name, "' is ",
        shape_text(*found), ", which does not fit a ViT");
  return *found;
}

std::int64_t Reader::heads_of(std::int64_t dim, std::int64_t asked,
                              const std::optional<std::int64_t>& told, bool decoder) {
  std::int64_t heads = asked > 0 ? asked : told.value_or(0);
  if (heads == 0) {
    // Published sizes: 64 channels a head; but ViT-H has 80, MAE's decoder 32.
    if (decoder && dim == 512)
      heads = 16;
    else if (dim == 1280)
      heads = 16;
    else if (dim % 64 == 0)
      heads = dim / 64;
    const char* const flag = decoder ? "--decoder_heads" : "--heads";
    check(heads > 0, ExitCode::checkpoint, "does not say how many attention heads its ",
          decoder ? "decoder" : "encoder", " of width ", dim, " has; give ", flag);
    file_.assumptions.push_back(str(decoder ? "decoder heads " : "heads ", heads,
                                    ", as published for width ", dim, " (", flag, ")"));
  }
  check(heads > 0 && dim % heads == 0, ExitCode::checkpoint, "cannot have ", heads,
        " attention heads: they do not divide its width ", dim, decoder ? " (decoder)" : "");
  return heads;
}

// Height and width from what is known, else from a square grid.
void Reader::read_grid(VitConfig& config) {
  if (!config.position_embedding) {
    check(described_.height && described_.width, ExitCode::checkpoint,
          "has no position embedding and does not say the size of its images");
    config.height = *described_.height;
    config.width = *described_.width;
    return;
  }
  const std::int64_t rows = tensor("pos_embed", 3).size(1);
  const auto root = [](std::int64_t n) {
    const auto side = static_cast<std::int64_t>(std::lround(std::sqrt(static_cast<double>(n))));
    return side * side == n ? side : 0;
  };
  config.height = described_.height.value_or(0);
  config.width = described_.width.value_or(0);
  const auto fits = [&](std::int64_t patches) {
    return config.height % config.patch_size == 0 && config.width % config.patch_size == 0 &&
           config.n_patches() == patches;
  };
  const bool without_cls = config.class_token && config.registers > 0 && !fits(rows - 1) &&
                           (fits(rows) || root(rows) > 0);
  if (without_cls) {  // timm keeps no position for CLS where there are registers
    for (auto& [name, value] : file_.tensors)
      if (name == "pos_embed")
        value = at::cat({at::zeros({1, 1, value.size(2)}, value.options()), value}, 1);
  }
  const std::int64_t patches = without_cls ? rows : rows - config.class_tokens();
  if (fits(patches)) return;
  check(!described_.height, ExitCode::checkpoint, "says its images are ", config.height, "x",
        config.width, ", but tensor 'pos_embed' has ", patches, " positions of patches of ",
        config.patch_size);
  const std::int64_t side = root(patches);
  check(side > 0, ExitCode::checkpoint, "has ", patches,
        " patch positions, which is no square, and does not say the size of its images");
  config.height = config.width = side * config.patch_size;
}

// A model is made before tensors are copied into it, and its tables are as large as windows or
// image say: whether the file's are must be known before.
void Reader::check_tables(const VitConfig& config) const {
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(config.attention.size()); ++i) {
    const auto [window, relative] = config.attention_of(i);
    const std::int64_t rows = 2 * (window > 0 ? window : config.grid_height()) - 1;
    const std::int64_t columns = 2 * (window > 0 ? window : config.grid_width()) - 1;
    const auto check_rows = [&](const char* name, std::int64_t expected) {
      const std::string full_name = str("blocks.", i, ".attn.", name);
      const std::int64_t found = tensor(full_name, 2).size(0);
      check(found == expected, ExitCode::checkpoint, "tensor '", full_name, "' has ", found,
            " rows, not the ", expected, " of its window or image");
    };
    if (relative == RelativePosition::decomposed) {
      check_rows("rel_pos_h", rows);
      check_rows("rel_pos_w", columns);
    } else if (relative == RelativePosition::bias) {
      check_rows("relative_position_bias_table", rows * columns + 3 * config.class_tokens());
    }
  }
}

VitConfig Reader::vit_config() {
  VitConfig config;
  const at::Tensor& patches = tensor("patch_embed.proj.weight", 4);
  check(patches.size(2) == patches.size(3), ExitCode::checkpoint,
        "tensor 'patch_embed.proj.weight' is ", shape_text(patches), "; patches must be square");
  config.channels = patches.size(1);
  config.patch_size = patches.size(2);
  config.class_token = described_.class_token;
  config.position_embedding = described_.position_embedding;
  config.final_norm = described_.final_norm;
  config.size.dim = config.class_token ? tensor("cls_token", 3).size(2) : patches.size(0);
  config.size.depth = count_blocks(file_.tensors, "blocks.");
  config.size.heads = heads_of(config.size.dim, options_.heads, described_.heads, false);
  config.mlp_hidden = tensor("blocks.0.mlp.fc1.weight", 2).size(0);
  config.layer_norm_eps = described_.layer_norm_eps.value_or(1e-6);
  config.layer_scale = file_.find("blocks.0.ls1.gamma") != nullptr;
  if (file_.find("reg_token")) config.registers = tensor("reg_token", 3).size(1);
  config.pooling = file_.find("fc_norm.weight") ? Pooling::mean
                   : normed_mean_               ? Pooling::normed_mean
                                                : Pooling::cls;
  config.batch_norm_head = file_.find("head.1.weight") != nullptr;
  if (config.batch_norm_head)
    config.classes = tensor("head.1.weight", 2).size(0);
  else if (file_.find("head.weight"))
    config.classes = tensor("head.weight", 2).size(0);
  read_grid(config);
  config.attention = described_.attention;
  check_config(config);
  check_tables(config);
  return config;
}

MaeConfig Reader::mae_config() {
  MaeConfig config;
  const VitConfig& vit = file_.vit;
  config.height = vit.height;
  config.width = vit.width;
  config.channels = vit.channels;
  config.patch_size = vit.patch_size;
  config.encoder = vit.size;
  config.decoder.dim = tensor("mask_token", 3).size(2);
  config.decoder.depth = count_blocks(file_.tensors, "decoder_blocks.");
  config.decoder.heads = heads_of(config.decoder.dim, options_.decoder_heads,
                                  described_.decoder_heads, /*decoder=*/true);
  config.mlp_ratio = vit.mlp_hidden / vit.size.dim;
  const std::int64_t decoder_mlp = tensor("decoder_blocks.0.mlp.fc1.weight", 2).size(0);
  check(vit.mlp_hidden == config.mlp_ratio * vit.size.dim &&
            decoder_mlp == config.mlp_ratio * config.decoder.dim,
        ExitCode::checkpoint, "has MLPs of ", vit.mlp_hidden, " and ", decoder_mlp,
        " in encoder and decoder, widths ", vit.size.dim, " and ", config.decoder.dim,
        "; sgmae needs the same whole ratio in both");
  config.layer_norm_eps = vit.layer_norm_eps;
  check(to_json(encoder_config(config)) == to_json(vit), ExitCode::checkpoint,
        "has a decoder and also LayerScale, registers or a head, which no autoencoder has");
  config.norm_pix_loss = file_.norm_pix_loss.value_or(false);
  return config;
}

// Our metadata against what the tensors show.
void Reader::compare(const json& told, const json& found) const {
  for (const auto& [key, number] : found.items()) {
    if (!told.contains(key) || told[key] == number) continue;
    fail(ExitCode::checkpoint, "its header says ", key, " ", told[key].dump(), ", its tensors ",
         number.dump(), "; the file is damaged, use another checkpoint");
  }
}

void Reader::read(const CheckpointContent& content) {
  json ours, ours_config;
  const auto header = content.metadata.find("sgmae");
  const auto inside = json_value<std::string>(content.extra, "sgmae");
  if (header != content.metadata.end() || inside) {
    ours = json::parse(inside ? *inside : header->second, nullptr, false);
    check(ours.is_object() && ours.contains("config"), ExitCode::checkpoint,
          "the 'sgmae' entry of its header is damaged; use an earlier checkpoint");
    ours_config = ours["config"];
  }
  NativeTensors native =
      to_native(content.tensors, json_value<bool>(ours_config, "class_token").value_or(true));
  file_.tensors = std::move(native.tensors);
  file_.left_out = std::move(native.left_out);
  file_.extra = content.extra;
  file_.family = family_of(native, content, file_);

  describe_from_training(content.extra, described_);
  describe_from_folder(json_member(content.extra, "config"),
                       json_member(content.extra, "preprocessor_config"), described_);
  if (ours.is_object()) {
    const auto written_as = family_named(json_value<std::string>(ours, "family").value_or("sgmae"));
    if (written_as) file_.family = *written_as;
    describe_from_header(ours_config, described_);
    normed_mean_ = json_value<std::string>(ours_config, "pooling") == "normed_mean";
  }
  if (!described_.layer_norm_eps && native.map->family != Family::timm &&
      native.map->family != Family::mmpretrain)
    file_.assumptions.push_back("LayerNorm epsilon 1e-6 (no config.json beside the file)");

  file_.norm_pix_loss = described_.norm_pix_loss;
  const bool decoder = file_.find("mask_token") != nullptr;
  file_.vit = vit_config();
  if (decoder) {
    file_.mae = mae_config();
    check_config(*file_.mae);
  }
  if (ours_config.is_object())
    compare(ours_config, file_.mae ? to_json(*file_.mae) : to_json(file_.vit));

  if (ours.is_object())
    file_.info = model_info_from_json(ours);
  else {
    file_.info.mean = described_.mean;
    file_.info.std = described_.std;
    file_.info.epoch = described_.epoch.value_or(0);
  }
  file_.epoch_known = ours.is_object() || described_.epoch.has_value();
  const auto channels = static_cast<std::size_t>(file_.vit.channels);
  if (file_.info.mean.size() != channels || file_.info.std.size() != channels) {
    check(!ours.is_object(), ExitCode::checkpoint, "mean and std in its header are not ", channels,
          " numbers each");
    const Normalisation standard = default_normalisation(static_cast<int>(channels));
    file_.info.mean = standard.mean;
    file_.info.std = standard.std;
    file_.assumptions.push_back("pixels normalised as MAE does (the file does not say)");
  }
  for (const auto& [name, tensor] : content.tensors)
    if (name == position_mean_name) file_.info.position_mean = tensor;
}

}  // namespace

std::string shape_text(const at::Tensor& tensor) {
  std::string text;
  for (const std::int64_t size : tensor.sizes())
    text += (text.empty() ? "" : ", ") + std::to_string(size);
  return "[" + text + "]";
}

const at::Tensor* ModelFile::find(const std::string& native_name) const {
  return find_tensor(tensors, native_name);
}

ModelFile read_model_file(const fs::path& path, const OpenOptions& options) {
  ModelFile file;
  file.path = find_model_file(path);
  check(fs::exists(file.path), ExitCode::checkpoint, file.path.string(),
        ": no such file; name a checkpoint, a folder of transformers, or a run folder");
  const CheckpointContent content = read_checkpoint_file(file.path);
  try {
    Reader(file, options).read(content);
  } catch (const Error& error) {
    fail(ExitCode::checkpoint, file.path.string(), ": ", error.what());
  }
  return file;
}

}  // namespace sgmae
