#include "sgmae/checkpoint/model_file.h"

#include <ATen/ops/any.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "sgmae/base/error.h"
#include "sgmae/base/json.h"
#include "sgmae/base/log.h"
#include "sgmae/base/number_list.h"
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

// OpenOptions as numbers. Throws Error(usage).
struct Stated {
  explicit Stated(const OpenOptions& options)
      : grid(numbers_of<std::int64_t>(options.grid, "grid")),
        mean(numbers_of<float>(options.pixel_mean, "pixel_mean")),
        std(numbers_of<float>(options.pixel_std, "pixel_std")) {
    const auto side = [](std::int64_t n) { return n >= 1 && n <= largest_side; };
    check(grid.empty() || (grid.size() == 2 && side(grid[0]) && side(grid[1])), ExitCode::usage,
          "--grid '", options.grid, "' is not ROWS,COLUMNS, e.g. 14,14");
    check(mean.empty() == std.empty(), ExitCode::usage,
          "--pixel_mean and --pixel_std belong together; give both");
    check(options.heads >= 0 && options.decoder_heads >= 0, ExitCode::usage,
          "--heads and --decoder_heads must not be negative");
    check(options.layer_norm_eps >= 0 && options.layer_norm_eps < 1, ExitCode::usage,
          "--layer_norm_eps must be in 0 .. 1, but is ", options.layer_norm_eps);
  }
  std::vector<std::int64_t> grid;
  std::vector<float> mean, std;
};

class Reader {
 public:
  Reader(ModelFile& file, const OpenOptions& options, const Stated& stated)
      : file_(file), options_(options), stated_(stated) {}

  void read(const CheckpointContent& content);

 private:
  const at::Tensor& tensor(const std::string& name, std::int64_t dims) const;
  void add_missing_qkv_bias();
  VitConfig vit_config();
  MaeConfig mae_config();
  std::int64_t heads_of(std::int64_t dim, std::int64_t asked,
                        const std::optional<std::int64_t>& told, bool decoder);
  void read_grid(VitConfig& config);
  void take_positions(std::int64_t before, std::int64_t prefix, const VitConfig& config);
  void check_tables(const VitConfig& config) const;
  void check_sizes() const;
  void read_normalisation(bool ours);
  void remark_on_positions();
  void compare(const json& told, const json& found) const;

  ModelFile& file_;
  const OpenOptions& options_;
  const Stated& stated_;
  DescribedModel described_;
  bool normed_mean_ = false;  // the tensors of such a head look like those on CLS
};

const at::Tensor& Reader::tensor(const std::string& name, std::int64_t dims) const {
  const at::Tensor* found = file_.find(name);
  check(found, ExitCode::checkpoint, "tensor '", name,
        "' is missing: not a plain ViT, or an incomplete file");
  check(found->dim() == dims && found->numel() > 0, ExitCode::checkpoint, "tensor '", name, "' is ",
        shape_text(*found), ", which does not fit a ViT");
  return *found;
}

// Models can be made without a bias of query, key and value: it is then zero.
void Reader::add_missing_qkv_bias() {
  const std::string weight = "attn.qkv.weight", bias = "attn.qkv.bias";
  NamedTensors added;
  std::string first_missing;
  std::size_t missing = 0, blocks = 0;
  for (const auto& [name, value] : file_.tensors) {
    added.emplace_back(name, value);
    if (!name.ends_with(weight)) continue;
    ++blocks;
    const std::string bias_name = name.substr(0, name.size() - weight.size()) + bias;
    if (file_.find(bias_name)) continue;
    if (missing++ == 0) first_missing = bias_name;
    check(value.dim() == 2, ExitCode::checkpoint, "tensor '", name, "' is ", shape_text(value),
          ", which does not fit a ViT");
    added.emplace_back(bias_name, at::zeros({value.size(0)}, value.options()));
  }
  if (missing == 0) return;
  check(missing == blocks && !described_.qkv_bias.value_or(false), ExitCode::checkpoint,
        "the bias of query, key and value '", first_missing, "' is missing, and ",
        missing == blocks ? "config.json says qkv_bias true" : "other blocks have one",
        "; an incomplete file?");
  file_.tensors = std::move(added);
}

std::int64_t Reader::heads_of(std::int64_t dim, std::int64_t asked,
                              const std::optional<std::int64_t>& told, bool decoder) {
  const char* const flag = decoder ? "--decoder_heads" : "--heads";
  check(asked == 0 || !told || asked == *told, ExitCode::checkpoint, "says that its ",
        decoder ? "decoder" : "encoder", " has ", told.value_or(0), " attention heads; leave out ",
        flag, ' ', asked);
  std::int64_t heads = asked > 0 ? asked : told.value_or(0);
  if (heads == 0 && !decoder && described_.named_width == dim) heads = *described_.named_heads;
  if (heads == 0 && decoder && described_.named_decoder && described_.named_decoder->dim == dim)
    heads = described_.named_decoder->heads;
  if (heads == 0) {
    // Published sizes: 64 channels a head; but ViT-H has 80, so400m 72, giant 88, gigantic 104,
    // MAE's decoder 32, MoCo v3's ViT-S 32.
    const bool sixteen = dim == 1152 || dim == 1280 || dim == 1408 || dim == 1664;
    if (sixteen || (decoder && dim == 512))
      heads = 16;
    else if (!decoder && dim == 384 && file_.family == Family::moco_v3)
      heads = 12;
    else if (dim % 64 == 0)
      heads = dim / 64;
    check(heads > 0, ExitCode::checkpoint, "does not say how many attention heads its ",
          decoder ? "decoder" : "encoder", " of width ", dim, " has; give ", flag);
    file_.assumptions.push_back(str(decoder ? "decoder heads " : "heads ", heads,
                                    ", as published for width ", dim, " (", flag, ")"));
  }
  check(heads > 0 && dim % heads == 0, ExitCode::checkpoint, "cannot have ", heads,
        " attention heads: they do not divide its width ", dim, decoder ? " (decoder)" : "");
  return heads;
}

// Brings 'pos_embed' to the rows that ours has, class token and patches, where the file's has
// `before` rows in front of the patches and the model `prefix` tokens.
void Reader::take_positions(std::int64_t before, std::int64_t prefix, const VitConfig& config) {
  for (auto& [name, value] : file_.tensors) {
    if (name != "pos_embed") continue;
    if (before == 0 && config.class_token) {
      value = at::cat({at::zeros({1, 1, value.size(2)}, value.options()), value}, 1);
    } else if (before == prefix && config.registers > 0) {
      // Registers with a position: it is added to them.
      const at::Tensor table = value,
                       own = table.narrow(1, config.class_tokens(), config.registers);
      for (auto& [other, registers] : file_.tensors)
        if (other == "reg_token") registers = registers.add(own);
      value = at::cat({table.narrow(1, 0, config.class_tokens()),
                       table.narrow(1, prefix, table.size(1) - prefix)},
                      1);
    }
  }
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
  const at::Tensor& table = tensor("pos_embed", 3);
  check(table.size(0) == 1 && table.size(2) == config.size.dim, ExitCode::checkpoint,
        "tensor 'pos_embed' is ", shape_text(table), ", which does not fit the width ",
        config.size.dim);
  const std::int64_t rows = table.size(1);
  // Rows in front of the patches: one for the class token; timm also has none, or one for each
  // register too. The first that fits is taken.
  std::vector<std::int64_t> layouts{config.class_tokens()};
  if (config.class_token) layouts.push_back(0);
  if (config.registers > 0) layouts.push_back(config.prefix_tokens());
  const auto take = [&](std::int64_t height, std::int64_t width) {
    config.height = height;
    config.width = width;
    if (height % config.patch_size != 0 || width % config.patch_size != 0) return false;
    for (const std::int64_t before : layouts)
      if (config.n_patches() == rows - before) {
        take_positions(before, config.prefix_tokens(), config);
        return true;
      }
    return false;
  };

  if (!stated_.grid.empty()) {
    check(!described_.height, ExitCode::checkpoint, "says its images are ",
          described_.height.value_or(0), "x", described_.width.value_or(0), "; leave out --grid");
    check(take(stated_.grid[0] * config.patch_size, stated_.grid[1] * config.patch_size),
          ExitCode::checkpoint, "has ", rows, " rows in 'pos_embed', which are not ",
          stated_.grid[0], "x", stated_.grid[1], " patches (--grid)");
    return;
  }
  if (described_.height && described_.width) {
    check(take(*described_.height, *described_.width), ExitCode::checkpoint, "says its images are ",
          *described_.height, "x", *described_.width, ", but tensor 'pos_embed' has ",
          rows - layouts[0], " positions of patches of ", config.patch_size);
    return;
  }
  if (described_.training_height && take(*described_.training_height, *described_.training_width))
    return;
  std::vector<std::int64_t> squares;
  for (const std::int64_t before : layouts) {
    const auto side =
        static_cast<std::int64_t>(std::lround(std::sqrt(static_cast<double>(rows - before))));
    if (rows > before && side * side == rows - before) squares.push_back(side);
  }
  check(!squares.empty(), ExitCode::checkpoint, "has ", rows - layouts[0],
        " patch positions, which is not a square number, and does not say the size of its images; "
        "give --grid ROWS,COLUMNS");
  take(squares[0] * config.patch_size, squares[0] * config.patch_size);
  file_.assumptions.push_back(
      str("a square grid of ", squares[0], "x", squares[0], " patches (--grid)"));
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
  const at::Tensor& fc2 = tensor("blocks.0.mlp.fc2.weight", 2);
  check(fc2.size(1) == config.mlp_hidden, ExitCode::checkpoint,
        "tensor 'blocks.0.mlp.fc2.weight' is ", shape_text(fc2), ", and the layer before it has ",
        config.mlp_hidden, " outputs: a gated MLP (SwiGLU), which sgmae does not have");
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
  const std::int64_t decoder_mlp = tensor("decoder_blocks.0.mlp.fc1.weight", 2).size(0);
  const std::int64_t ratio = vit.mlp_hidden / vit.size.dim;
  if (vit.mlp_hidden == ratio * vit.size.dim && decoder_mlp == ratio * config.decoder.dim) {
    config.mlp_ratio = ratio;
  } else {
    config.encoder_mlp_hidden = vit.mlp_hidden;
    config.decoder_mlp_hidden = decoder_mlp;
  }
  config.layer_norm_eps = vit.layer_norm_eps;
  check(to_json(encoder_config(config)) == to_json(vit), ExitCode::checkpoint,
        "has a decoder and also LayerScale, registers or a head, which no autoencoder has");
  config.norm_pix_loss = file_.norm_pix_loss.value_or(false);
  return config;
}

// What config.json says against what the tensors show.
void Reader::check_sizes() const {
  std::map<std::string, std::int64_t> shown{
      {"hidden_size", file_.vit.size.dim},         {"num_hidden_layers", file_.vit.size.depth},
      {"intermediate_size", file_.vit.mlp_hidden}, {"num_channels", file_.vit.channels},
      {"patch_size", file_.vit.patch_size},        {"num_register_tokens", file_.vit.registers}};
  if (file_.mae)
    shown.insert({{"decoder_hidden_size", file_.mae->decoder.dim},
                  {"decoder_num_hidden_layers", file_.mae->decoder.depth},
                  {"decoder_intermediate_size", file_.mae->decoder_mlp()}});
  for (const auto& [key, told] : described_.sizes) {
    const auto found = shown.find(key);
    check(found == shown.end() || found->second == told, ExitCode::checkpoint, "config.json says ",
          key, ' ', told, ", its tensors ", found == shown.end() ? 0 : found->second,
          "; they belong to different models");
  }
}

// Pixels in 0 .. 1 are scaled, then less the mean and over the deviation: one mean and deviation.
void Reader::read_normalisation(bool ours) {
  const auto channels = static_cast<std::size_t>(file_.vit.channels);
  std::vector<float>&mean = file_.info.mean, &std = file_.info.std;
  if (!stated_.mean.empty()) {
    mean = stated_.mean;
    std = stated_.std;
    // Images of other channels are read no other way.
    if (!file_.info.stored && channels != 1 && channels != 3) file_.info.stored.emplace();
  } else if (!ours) {
    mean = described_.mean;
    std = described_.std;
  }
  for (std::vector<float>* values : {&mean, &std})
    if (values->size() == 1) values->resize(channels, values->front());
  if (mean.empty() && std.empty() && !ours) {
    const Normalisation standard = default_normalisation(static_cast<int>(channels));
    mean = standard.mean;
    std = standard.std;
    file_.assumptions.push_back(
        str("pixels normalised by ",
            channels == 3 ? "ImageNet's mean and std, as MAE's are" : "mean 0.5 and std 0.25",
            " (--pixel_mean, --pixel_std)"));
  }
  check(mean.size() == channels && std.size() == channels, ExitCode::checkpoint, "has a mean of ",
        mean.size(), " and a std of ", std.size(), " numbers for ", channels, " channels");
  if (stated_.mean.empty() && described_.pixel_scale != 1)
    for (std::vector<float>* values : {&mean, &std})
      for (float& value : *values)
        value = static_cast<float>(static_cast<double>(value) / described_.pixel_scale);
  for (std::size_t c = 0; c < channels; ++c)
    check(std::isfinite(mean[c]) && std::isfinite(std[c]) && std[c] != 0, ExitCode::checkpoint,
          "normalises pixels by mean ", mean[c], " and std ", std[c],
          "; give --pixel_mean and --pixel_std");
}

// Tables that transformers leaves at zero where it makes a model from a configuration.
void Reader::remark_on_positions() {
  for (const char* name : {"pos_embed", "decoder_pos_embed"}) {
    const at::Tensor* table = file_.find(name);
    if (table && !at::any(*table).item<bool>())
      file_.remarks.push_back(str("'", name, "' is all zeros, and is used as it is"));
  }
}

// Our metadata against what the tensors show.
void Reader::compare(const json& told, const json& found) const {
  for (const auto& [key, number] : found.items()) {
    if (!told.contains(key) || told[key] == number) continue;
    fail(ExitCode::checkpoint, "its header says ", key, " ", told[key].dump(), ", its tensors ",
         number.dump(), "; the file is damaged; use another checkpoint");
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
  NativeTensors native;
  try {
    native =
        to_native(content.tensors, json_value<bool>(ours_config, "class_token").value_or(true));
  } catch (const Error& error) {
    if (content.unknown.empty()) throw;
    fail(ExitCode::checkpoint, error.what(), "; it also holds Python objects (",
         *content.unknown.begin(), "): if the model is among them, save its state_dict()");
  }
  file_.tensors = std::move(native.tensors);
  file_.left_out = std::move(native.left_out);
  file_.unknown.assign(content.unknown.begin(), content.unknown.end());
  file_.extra = content.extra;
  file_.family = family_of(native, content, file_);

  const auto within = [&](const char* word) {
    return native.prefix.find(word) != std::string::npos;
  };
  describe_from_training(content.extra,
                         file_.family == Family::moco_v3 || within("teacher") || within("student"),
                         described_);
  describe_from_folder(json_member(content.extra, "config"),
                       json_member(content.extra, "preprocessor_config"), described_);
  normed_mean_ = described_.pooling == "avg";
  if (ours.is_object()) {
    const auto written_as = family_named(json_value<std::string>(ours, "family").value_or("sgmae"));
    if (written_as) file_.family = *written_as;
    describe_from_header(ours_config, described_);
    normed_mean_ = json_value<std::string>(ours_config, "pooling") == "normed_mean";
  }
  if (const double stated = options_.layer_norm_eps; stated > 0) {
    check(described_.layer_norm_eps.value_or(stated) == stated, ExitCode::checkpoint,
          "says that its layer_norm_eps is ", described_.layer_norm_eps.value_or(0),
          "; leave out --layer_norm_eps ", stated);
    described_.layer_norm_eps = stated;
  }
  if (!described_.layer_norm_eps && native.map->family != Family::timm &&
      native.map->family != Family::mmpretrain)
    file_.assumptions.push_back("LayerNorm epsilon 1e-6 (--layer_norm_eps)");

  const bool pooling_told = ours.is_object() || described_.pooling.has_value();
  if (native.map->family == Family::timm && file_.find("head.weight")) {
    const bool normed_later = file_.find("fc_norm.weight") != nullptr;
    if (!pooling_told)
      file_.assumptions.push_back(normed_later ? "the head looks at the mean of the patches"
                                               : "the head looks at the class token");
    if (described_.pooling && *described_.pooling != "avg")
      check(*described_.pooling == "token" && !normed_later, ExitCode::checkpoint,
            "config.json says global_pool '", *described_.pooling,
            normed_later ? "' with a norm behind it" : "'",
            "; sgmae's heads look at the class token or at the mean of the patches, and it cannot "
            "run this classifier");
  }

  file_.norm_pix_loss = described_.norm_pix_loss;
  const bool decoder = file_.find("mask_token") != nullptr;
  add_missing_qkv_bias();
  file_.vit = vit_config();
  if (decoder) {
    file_.mae = mae_config();
    check_config(*file_.mae);
  }
  if (ours_config.is_object())
    compare(ours_config, file_.mae ? to_json(*file_.mae) : to_json(file_.vit));
  check_sizes();

  if (ours.is_object())
    file_.info = model_info_from_json(ours);
  else
    file_.info.epoch = described_.epoch.value_or(0);
  file_.epoch_known = ours.is_object() || described_.epoch.has_value();
  read_normalisation(ours.is_object());
  file_.remarks = described_.remarks;
  if (described_.input_height &&
      (*described_.input_height != file_.vit.height || *described_.input_width != file_.vit.width))
    file_.remarks.push_back(str("its own program makes images of ", *described_.input_height, "x",
                                *described_.input_width, ", sgmae of ", file_.vit.height, "x",
                                file_.vit.width, " unless told otherwise (--input_size)"));
  remark_on_positions();
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

void OpenOptions::declare(Options& o) {
  o.add("heads", heads,
        "attention heads, where the file does not say or there is none; 0: as published");
  o.add("decoder_heads", decoder_heads, "the decoder's");
  o.add(
      "grid", grid,
      "ROWS,COLUMNS of patches in the position table, where the file does not say; empty: square");
  o.add("pixel_mean", pixel_mean,
        "mean of the pixels that the model was trained with, in 0 .. 1, of values as stored in "
        "their units: a number for each channel or one for all; empty: as the file says");
  o.add("pixel_std", pixel_std, "their standard deviation");
  o.add("layer_norm_eps", layer_norm_eps, "epsilon of LayerNorm; 0: as the file says");
}

ModelFile examine_model_file(const fs::path& path, const OpenOptions& options) {
  const Stated stated(options);
  ModelFile file;
  file.path = find_model_file(path);
  if (file.path != path)
    info(path.string(), ": its ", file.path.filename() == best_model ? "best" : "newest",
         " model is taken, ", file.path.lexically_relative(path).string());
  check(fs::exists(file.path), ExitCode::checkpoint, file.path.string(),
        ": no such file; name a checkpoint, a folder of transformers, or a run folder");
  check(!fs::exists(file.path / "run.json"), ExitCode::checkpoint, file.path.string(),
        ": a run folder in which no model is left; name another, or a checkpoint");
  const CheckpointContent content = read_checkpoint_file(file.path);
  try {
    Reader(file, options, stated).read(content);
  } catch (const Error& error) {
    fail(ExitCode::checkpoint, file.path.string(), ": ", error.what());
  }
  return file;
}

ModelFile read_model_file(const fs::path& path, const OpenOptions& options) {
  ModelFile file = examine_model_file(path, options);
  const auto say = [&](const char* what, const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) text += (text.empty() ? "" : "; ") + line;
    if (!text.empty()) warn(file.path.string(), what, text);
  };
  say(": assumed, since the file does not say: ", file.assumptions);
  say(": note: ", file.remarks);
  return file;
}

}  // namespace sgmae
