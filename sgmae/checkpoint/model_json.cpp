#include "sgmae/checkpoint/model_json.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <tuple>

#include "sgmae/base/error.h"
#include "sgmae/base/json.h"

namespace sgmae {
namespace {

using nlohmann::json;

// Sizes are multiplied later on.
std::optional<std::int64_t> side(const json& value) {
  if (!value.is_number_integer()) return std::nullopt;
  const std::int64_t pixels =
      value.is_number_unsigned() && value.get<std::uint64_t>() > largest_side
          ? largest_side + 1
          : value.get<std::int64_t>();
  check(pixels >= 1 && pixels <= largest_side, ExitCode::checkpoint,
        "says its images have a side of ", value.dump(),
        " pixels; the file is damaged; use another");
  return pixels;
}

// What a published name says of its model's heads.
void describe_name(const std::string& name, DescribedModel& described) {
  struct Published {
    const char* name;
    std::int64_t width, heads;
  };
  for (const auto& [known, width, heads] :
       {Published{"moco_vit_small", 384, 12}, Published{"test_vit", 64, 2}})
    if (name == known) {
      described.named_width = width;
      described.named_heads = heads;
      return;
    }
  std::string plain = name.substr(0, name.find_first_of("0123456789", name.find("_patch")));
  if (plain.ends_with("_patch")) plain += "16";  // heads do not depend on it
  for (const char* prefix : {"deit_", "deit3_"})
    if (plain.starts_with(prefix)) plain.replace(0, std::strlen(prefix), "vit_");
  try {
    const MaeConfig config = named_config(plain);
    described.named_width = config.encoder.dim;
    described.named_heads = config.encoder.heads;
    if (name.find("mae") != std::string::npos) described.named_decoder = config.decoder;
  } catch (const Error&) {  // a name of their own says nothing
  }
}

// A list of numbers, or one; empty for anything else.
std::vector<float> floats(const json& value) {
  std::vector<float> numbers;
  if (value.is_number()) return {value.get<float>()};
  if (value.is_array())
    for (const json& number : value)
      if (number.is_number()) numbers.push_back(number.get<float>());
  return numbers;
}

// One side, or [height, width], or timm's [channels, height, width].
std::optional<std::pair<std::int64_t, std::int64_t>> sides(const json& size) {
  const bool list = size.is_array() && (size.size() == 2 || size.size() == 3);
  const auto height = side(list ? size[size.size() - 2] : size);
  const auto width = side(list ? size[size.size() - 1] : size);
  if (!height || !width) return std::nullopt;
  return std::pair{*height, *width};
}

// A switch of preprocessor_config.json, which is on where it is left out.
bool switched_on(const json& preprocessor, const char* key) {
  const json& value = json_member(preprocessor, key);
  check(value.is_boolean() || !preprocessor.contains(key), ExitCode::checkpoint,
        "preprocessor_config.json says ", key, " ", value.dump(), "; write true or false");
  return !value.is_boolean() || value.get<bool>();
}

void need_gelu(const char* where, const char* key, const json& value) {
  const auto name = json_value<std::string>(value);
  check(value.is_null() || (name && (*name == "gelu" || *name == "gelu_python")),
        ExitCode::checkpoint, where, " says ", key, " ", value.dump(),
        "; sgmae has no other activation than exact GELU and cannot run this model");
}

void describe_preprocessor(const json& preprocessor, DescribedModel& described) {
  if (!preprocessor.is_object()) return;
  const json& factor = json_member(preprocessor, "rescale_factor");
  if (!switched_on(preprocessor, "do_rescale")) {
    described.pixel_scale = 255;
  } else if (factor.is_number()) {
    const double scale = 255 * factor.get<double>();
    check(scale > 0 && scale < 1e9, ExitCode::checkpoint,
          "preprocessor_config.json says rescale_factor ", factor.dump(), "; it must be positive");
    described.pixel_scale = std::abs(scale - 1) < 1e-6 ? 1 : scale;
  }
  if (switched_on(preprocessor, "do_normalize")) {
    described.mean = floats(json_member(preprocessor, "image_mean"));
    described.std = floats(json_member(preprocessor, "image_std"));
  } else {
    described.mean = {0};
    described.std = {1};
  }

  constexpr const char* filters[] = {"nearest", "Lanczos", "bilinear", "bicubic", "box", "Hamming"};
  const auto filter = json_value<std::int64_t>(preprocessor, "resample");
  if (filter && *filter != 3)
    described.remarks.push_back(str("preprocessor_config.json resizes with ",
                                    *filter >= 0 && *filter < 6 ? filters[*filter] : "another",
                                    " filter, sgmae with bicubic"));
  const bool crops = json_value<bool>(preprocessor, "do_center_crop").value_or(false);
  const json& size = json_member(preprocessor, crops ? "crop_size" : "size");
  const bool both = size.is_object() && size.contains("height") && size.contains("width");
  const auto pair =
      sides(both ? json::array({json_member(size, "height"), json_member(size, "width")}) : size);
  if (pair && json_value<bool>(preprocessor, "do_resize").value_or(true))
    std::tie(described.input_height, described.input_width) = *pair;
  if (crops)
    described.remarks.push_back(
        "preprocessor_config.json keeps the middle of an image (--fit centre_crop)");
}

void describe_transformers(const json& config, DescribedModel& described) {
  need_gelu("config.json", "hidden_act", json_member(config, "hidden_act"));
  check(!json_value<bool>(config, "use_swiglu_ffn").value_or(false), ExitCode::checkpoint,
        "config.json says use_swiglu_ffn true; sgmae has no gated MLP and cannot run this model");
  if (const auto size = sides(json_member(config, "image_size")))
    std::tie(described.height, described.width) = *size;
  described.heads = json_value<std::int64_t>(config, "num_attention_heads");
  described.decoder_heads = json_value<std::int64_t>(config, "decoder_num_attention_heads");
  described.layer_norm_eps = json_value<double>(config, "layer_norm_eps");
  const auto type = json_value<std::string>(config, "model_type");
  if (!config.contains("layer_norm_eps") && type)  // the defaults of its classes
    described.layer_norm_eps = *type == "vit" || *type == "vit_mae" ? 1e-12 : 1e-6;
  described.norm_pix_loss = json_value<bool>(config, "norm_pix_loss");
  described.qkv_bias = json_value<bool>(config, "qkv_bias");
  for (const char* key : {"hidden_size", "num_hidden_layers", "intermediate_size", "num_channels",
                          "patch_size", "num_register_tokens", "decoder_hidden_size",
                          "decoder_num_hidden_layers", "decoder_intermediate_size"}) {
    const json& value = json_member(config, key);
    const bool pair = value.is_array() && value.size() == 2;
    check(!pair || value[0] == value[1], ExitCode::checkpoint, "config.json says ", key, " ",
          value.dump(), "; patches must be square");
    if (const auto number = json_value<std::int64_t>(pair ? value[0] : value))
      described.sizes.emplace_back(key, *number);
  }
}

void describe_timm(const json& config, DescribedModel& described) {
  const json& args = json_member(config, "model_args");
  need_gelu("config.json", "act_layer", json_member(args, "act_layer"));
  const auto norm = json_value<std::string>(args, "norm_layer");
  check(!norm || *norm == "layernorm", ExitCode::checkpoint, "config.json says norm_layer '",
        norm.value_or(""), "'; sgmae has no other norm than LayerNorm and cannot run this model");
  const auto name = json_value<std::string>(config, "architecture");
  check(!name || name->find("quickgelu") == std::string::npos, ExitCode::checkpoint,
        "config.json says architecture '", name.value_or(""),
        "'; sgmae has no other activation than exact GELU and cannot run this model");
  if (name) describe_name(*name, described);
  described.heads = json_value<std::int64_t>(args, "num_heads");
  described.pooling = json_value<std::string>(args, "global_pool");
  if (!described.pooling) described.pooling = json_value<std::string>(config, "global_pool");
  check(!json_value<bool>(args, "pool_include_prefix").value_or(false), ExitCode::checkpoint,
        "config.json says pool_include_prefix true; sgmae pools patches alone and cannot run this "
        "model");

  // Older files have these at the top.
  const json& inner = json_member(config, "pretrained_cfg");
  const json& pretrained = inner.is_object() ? inner : config;
  described.mean = floats(json_member(pretrained, "mean"));
  described.std = floats(json_member(pretrained, "std"));
  const auto input = sides(json_member(pretrained, "input_size"));
  if (const auto size = sides(json_member(args, "img_size")))
    std::tie(described.height, described.width) = *size;
  else if (input)
    std::tie(described.training_height, described.training_width) = *input;
  if (input) std::tie(described.input_height, described.input_width) = *input;
  const auto filter = json_value<std::string>(pretrained, "interpolation");
  if (filter && *filter != "bicubic")
    described.remarks.push_back(
        str("config.json resizes with ", *filter, " filter, sgmae with bicubic"));
  const auto crop = json_value<double>(pretrained, "crop_pct");
  if (crop && std::abs(*crop - 0.875) > 1e-3)
    described.remarks.push_back(str("config.json keeps ", *crop,
                                    " of an image's side (crop_pct), --fit centre_crop 0.875"));
}

}  // namespace

// Of a model that is put together of several, the one that sees; null where that is not said.
const json* vision_part(const json& config) {
  if (config.contains("hidden_size")) return nullptr;
  const json* found = nullptr;
  for (const char* key : {"vision_config", "encoder", "backbone_config"})
    if (const json& part = json_member(config, key); part.is_object()) {
      if (found) return nullptr;
      found = &part;
    }
  return found;
}

void describe_from_folder(const json& config, const json& preprocessor, DescribedModel& described) {
  if (!config.is_object()) return;
  if (const json* const part = vision_part(config))
    return describe_from_folder(*part, preprocessor, described);
  if (config.contains("architecture") || config.contains("pretrained_cfg")) {
    describe_timm(config, described);
  } else {
    describe_transformers(config, described);
    describe_preprocessor(preprocessor, described);
  }
}

void describe_from_training(const json& content, bool counts_done, DescribedModel& described) {
  const json& args = json_member(content, "args");
  const auto arch = json_value<std::string>(content, "arch");
  const auto done = json_value<std::int64_t>(json_member(content, "meta"), "epoch");  // mmengine
  const auto epoch = done ? done : json_value<std::int64_t>(content, "epoch");
  if (epoch) {
    // Scripts after PyTorch's own example save the number done, and `arch`; timm's, with a version
    // of its layout, does not.
    const bool counted = done || counts_done || (arch && !content.contains("version"));
    check(*epoch >= (counted ? 0 : -1) && *epoch < INT64_MAX, ExitCode::checkpoint,
          "says that it is from epoch ", *epoch, "; the file is damaged; use another");
    described.epoch = counted ? *epoch : *epoch + 1;
  }
  described.norm_pix_loss = json_value<bool>(args, "norm_pix_loss");
  if (const auto name = json_value<std::string>(args, "model"))
    describe_name(*name, described);
  else if (const auto dino = json_value<std::string>(args, "arch"))
    describe_name(*dino, described);
  else if (arch)
    // MoCo v3's ViT-S has more heads than everyone else's, under a name that no one else writes
    // here.
    describe_name(*arch == "vit_small" ? "moco_vit_small" : *arch, described);
  const auto size = sides(
      json_member(args, args.is_object() && args.contains("img_size") && !args["img_size"].is_null()
                            ? "img_size"
                            : "input_size"));
  if (size) std::tie(described.training_height, described.training_width) = *size;
  // timm's training has None for ImageNet's.
  described.mean = floats(json_member(args, "mean"));
  described.std = floats(json_member(args, "std"));
}

std::vector<BlockAttention> attention_from_json(const json& config) {
  std::vector<BlockAttention> attention;
  const json& entries = json_member(config, "attention");
  if (!entries.is_array()) {
    check(entries.is_null(), ExitCode::checkpoint,
          "the configuration in the file has a malformed 'attention'");
    return attention;
  }
  const auto names = std::begin(relative_position_names), end = std::end(relative_position_names);
  for (const json& entry : entries) {
    const auto relative = json_value<std::string>(entry, "relative_position");
    const auto window = json_value<std::int64_t>(entry, "window");
    const auto name = relative ? std::find(names, end, *relative) : end;
    check(name != end && window && *window >= 0 && *window <= largest_side, ExitCode::checkpoint,
          "the configuration in the file has a malformed attention ", entry.dump());
    attention.push_back({*window, static_cast<RelativePosition>(std::distance(names, name))});
  }
  return attention;
}

void describe_from_header(const json& config, DescribedModel& described) {
  described.height = side(json_member(config, "height"));
  described.width = side(json_member(config, "width"));
  described.heads = json_value<std::int64_t>(config, "heads");
  described.decoder_heads = json_value<std::int64_t>(config, "decoder_heads");
  described.layer_norm_eps = json_value<double>(config, "layer_norm_eps");
  described.norm_pix_loss = json_value<bool>(config, "norm_pix_loss");
  described.class_token = json_value<bool>(config, "class_token").value_or(true);
  described.position_embedding = json_value<bool>(config, "position_embedding").value_or(true);
  described.final_norm = json_value<bool>(config, "final_norm").value_or(true);
  described.attention = attention_from_json(config);
}

}  // namespace sgmae
