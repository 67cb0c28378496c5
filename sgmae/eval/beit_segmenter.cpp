#include "sgmae/eval/beit_segmenter.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/zeros_like.h>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/base/json.h"
#include "sgmae/io/safetensors.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

json parsed(const fs::path& file) {
  return fs::is_regular_file(file) ? json::parse(read_text(file), nullptr, false) : json();
}

// Parts of names: theirs, and ours.
constexpr std::pair<const char*, const char*> name_parts[] = {
    {"beit.embeddings.patch_embeddings.projection.", "patch_embed.proj."},
    {"beit.embeddings.cls_token", "cls_token"},
    {"beit.embeddings.position_embeddings", "pos_embed"},
    {"beit.encoder.layer.", "blocks."},
    {".attention.attention.relative_position_bias.", ".attn."},
    {".attention.output.dense.", ".attn.proj."},
    {".intermediate.dense.", ".mlp.fc1."},
    {".output.dense.", ".mlp.fc2."},
    {".layernorm_before.", ".norm1."},
    {".layernorm_after.", ".norm2."},
    {".lambda_1", ".ls1.gamma"},
    {".lambda_2", ".ls2.gamma"}};

std::string native_name(std::string name) {
  for (const auto& [theirs, ours] : name_parts)
    if (const auto at = name.find(theirs); at != std::string::npos)
      name.replace(at, std::string_view(theirs).size(), ours);
  return name;
}

// Queries, keys and values as one; their keys have no bias, which no softmax would see.
NamedTensors native_tensors(const TensorFile& file, const fs::path& folder) {
  const std::string attention = ".attention.attention.";
  const auto find = [&](const std::string& name) {
    const at::Tensor* tensor = file.find(name);
    check(tensor, ExitCode::checkpoint, folder.string(), ": tensor '", name,
          "' is missing; the folder is not complete, use another checkpoint");
    return *tensor;
  };
  NamedTensors tensors;
  for (const auto& [name, tensor] : file.tensors) {
    const auto at = name.find(attention);
    if (at == std::string::npos || name.find("relative_position") != std::string::npos) {
      tensors.emplace_back(native_name(name), tensor);
      continue;
    }
    const std::string front = name.substr(0, at) + attention;
    const std::string native = native_name(name.substr(0, at)) + ".attn.qkv.";
    if (name == front + "query.weight")
      tensors.emplace_back(native + "weight", at::cat({tensor, find(front + "key.weight"),
                                                       find(front + "value.weight")}));
    if (name == front + "query.bias")
      tensors.emplace_back(native + "bias",
                           at::cat({tensor, at::zeros_like(tensor), find(front + "value.bias")}));
  }
  return tensors;
}

std::string their_name(std::string name) {
  const bool of_bias = name.find("relative_position") != std::string::npos;
  for (const auto& [theirs, ours] : name_parts) {
    const std::string_view own(ours);
    if (own == ".attn." && !of_bias) continue;
    const auto at = name.find(own);
    if (at != std::string::npos && (at == 0 || own.starts_with(".")))
      name.replace(at, own.size(), theirs);
  }
  return name;
}

// The other way round: "blocks.3.attn.qkv.weight" as three.
void add_split(const std::string& name, const at::Tensor& tensor, NamedTensors& tensors) {
  const std::string joint = ".attn.qkv.";
  const auto at = name.find(joint);
  const std::string front = their_name(name.substr(0, at) + ".");
  const std::string kind = name.substr(at + joint.size());  // "weight" or "bias"
  const std::vector<at::Tensor> parts = tensor.chunk(3);
  std::size_t i = 0;
  for (const char* part : {"query", "key", "value"}) {
    if (kind == "weight" || i != 1)
      tensors.emplace_back(str(front, "attention.attention.", part, ".", kind),
                           parts[i].contiguous());
    ++i;
  }
}

std::vector<std::int64_t> integers(const json& array) {
  std::vector<std::int64_t> numbers;
  if (!array.is_array()) return numbers;
  for (const json& value : array) numbers.push_back(json_value<std::int64_t>(value).value_or(-1));
  return numbers;
}

}  // namespace

bool is_beit_segmenter(const fs::path& folder) {
  if (!fs::is_directory(folder)) return false;
  const json names = json_member(parsed(folder / "config.json"), "architectures");
  return names.is_array() && !names.empty() && names[0] == "BeitForSemanticSegmentation";
}

SegmenterFile read_beit_segmenter(const fs::path& folder) {
  const json config = parsed(folder / "config.json");
  const auto whole = [&](const char* key, std::int64_t otherwise) {
    const json& value = json_member(config, key);
    return value.is_null() ? otherwise : json_value<std::int64_t>(value).value_or(-1);
  };
  const auto says = [&](const char* key) { return json_value<bool>(config, key).value_or(false); };
  const auto runs = [&](bool yes, const char* what) {
    check(yes, ExitCode::checkpoint, folder.string(), ": its config.json has ", what,
          ", which sgmae cannot run; use another checkpoint");
  };
  runs(!says("use_shared_relative_position_bias"), "use_shared_relative_position_bias");
  runs(!says("auxiliary_concat_input"), "auxiliary_concat_input");
  runs(whole("auxiliary_num_convs", 1) == 1, "another auxiliary_num_convs than 1");
  runs(json_value<std::string>(config, "hidden_act").value_or("gelu") == "gelu",
       "another hidden_act than gelu");

  SegmenterFile read;
  read.path = folder;
  SegmenterConfig& c = read.config;
  VitConfig vit;
  const json& size = json_member(config, "image_size");
  const std::vector<std::int64_t> sides = integers(size);
  vit.height = sides.size() == 2 ? sides[0] : whole("image_size", 224);
  vit.width = sides.size() == 2 ? sides[1] : vit.height;
  vit.channels = whole("num_channels", 3);
  vit.patch_size = whole("patch_size", 16);
  vit.size = {whole("hidden_size", 768), whole("num_hidden_layers", 12),
              whole("num_attention_heads", 12)};
  vit.mlp_hidden = whole("intermediate_size", 3072);
  vit.layer_norm_eps = json_value<double>(config, "layer_norm_eps").value_or(1e-12);
  vit.position_embedding = says("use_absolute_position_embeddings");
  const bool scale = json_value<double>(config, "layer_scale_init_value").value_or(0.1) > 0;
  // The default of transformers, which its files leave out.
  std::vector<std::int64_t> indices = integers(json_member(config, "out_indices"));
  runs(indices.size() == 4, "other out_indices than four");
  c.taps.clear();
  for (const std::int64_t index : indices) {
    runs(index >= 2, "out_indices below 2, which read no block");
    c.taps.push_back(index - 2);
  }
  if (const json& scales = json_member(config, "pool_scales"); scales.is_array())
    c.pool_scales = integers(scales);
  c.auxiliary_channels = whole("auxiliary_channels", 256);
  if (!json_value<bool>(config, "use_auxiliary_head").value_or(true)) c.auxiliary_weight = 0;
  const json& names = json_member(config, "id2label");
  c.classes = names.is_object() ? static_cast<std::int64_t>(names.size()) : 2;
  for (std::int64_t i = 0; i < c.classes; ++i)
    read.classes.push_back(
        json_value<std::string>(names, std::to_string(i).c_str()).value_or(str("LABEL_", i)));
  c.channels = vit.size.dim;
  try {
    c.backbone = segmentation_backbone(vit, vit.height, vit.width,
                                       says("use_relative_position_bias"), scale);
    check_config(c);
  } catch (const Error& error) {
    fail(ExitCode::checkpoint, folder.string(), ": its config.json is no model (", error.what(),
         "); use another checkpoint");
  }
  const json preprocessor = parsed(folder / "preprocessor_config.json");
  const auto floats = [&](const char* key) {
    const json& values = json_member(preprocessor, key);
    const bool fits = values.is_array() && static_cast<std::int64_t>(values.size()) == vit.channels;
    std::vector<float> numbers(static_cast<std::size_t>(vit.channels), 0.5f);  // BEiT's
    for (std::size_t i = 0; fits && i < numbers.size(); ++i)
      numbers[i] = static_cast<float>(json_value<double>(values[i]).value_or(0.5));
    return numbers;
  };
  read.normalisation = {floats("image_mean"), floats("image_std")};
  const fs::path weights = folder / "model.safetensors";
  check(fs::is_regular_file(weights), ExitCode::checkpoint, folder.string(),
        ": model.safetensors is missing; the folder is not complete, use another checkpoint");
  read.tensors = native_tensors(read_safetensors(weights), folder);
  return read;
}

void write_beit_segmenter(const fs::path& folder, const SegmenterFile& model) {
  const SegmenterConfig& c = model.config;
  const VitConfig& vit = c.backbone;
  const auto holds = [&](bool yes, const std::string& what) {
    check(yes, ExitCode::usage, "transformers' BeitForSemanticSegmentation cannot hold ",
          model.path.string(), ": ", what);
  };
  holds(c.head == SegmentHead::uper, "its head is a linear layer");
  holds(c.taps.back() < vit.size.depth - 1,
        str("it reads block ", c.taps.back(), ", and transformers reads none behind block ",
            vit.size.depth - 2, "; train with other --taps"));
  holds(c.channels == vit.size.dim,
        str("its head has ", c.channels, " channels and its encoder ", vit.size.dim,
            "; train with --head_channels of the encoder"));
  holds(c.auxiliary_weight == 0 || c.auxiliary_level == 2,
        "its auxiliary head reads another level than the third");
  holds(vit.class_token, "its encoder has no class token");
  bool bias = true, none = true;
  for (std::int64_t i = 0; i < vit.size.depth; ++i) {
    const BlockAttention block = vit.attention_of(i);
    bias &= block == BlockAttention{0, RelativePosition::bias};
    none &= block == BlockAttention{};
  }
  holds(bias || none, "its blocks have windows, or other relative positions than a bias in each");

  NamedTensors tensors;
  for (const auto& [name, tensor] : model.tensors)
    if (name.find(".attn.qkv.") != std::string::npos)
      add_split(name, tensor, tensors);
    else
      tensors.emplace_back(their_name(name), tensor.contiguous());
  json indices = json::array(), labels = json::object(), numbers = json::object();
  for (const std::int64_t tap : c.taps) indices.push_back(tap + 2);
  for (std::int64_t i = 0; i < c.classes; ++i) {
    const std::string& name = model.classes[static_cast<std::size_t>(i)];
    labels[std::to_string(i)] = name;
    numbers[name] = i;
  }
  const json config{
      {"architectures", {"BeitForSemanticSegmentation"}},
      {"model_type", "beit"},
      {"image_size", vit.height == vit.width ? json(vit.height) : json{vit.height, vit.width}},
      {"num_channels", vit.channels},
      {"patch_size", vit.patch_size},
      {"hidden_size", vit.size.dim},
      {"num_hidden_layers", vit.size.depth},
      {"num_attention_heads", vit.size.heads},
      {"intermediate_size", vit.mlp_hidden},
      {"hidden_act", "gelu"},
      {"layer_norm_eps", vit.layer_norm_eps},
      {"layer_scale_init_value", vit.layer_scale ? 1.0 : 0.0},
      {"use_absolute_position_embeddings", vit.position_embedding},
      {"use_relative_position_bias", bias},
      {"use_shared_relative_position_bias", false},
      {"out_indices", indices},
      {"pool_scales", c.pool_scales},
      {"use_auxiliary_head", c.auxiliary_weight > 0},
      {"auxiliary_channels", c.auxiliary_channels},
      {"auxiliary_num_convs", 1},
      {"auxiliary_concat_input", false},
      {"id2label", labels},
      {"label2id", numbers},
      {"torch_dtype", "float32"}};
  const json preprocessor{{"image_processor_type", "BeitImageProcessor"},
                          {"do_resize", true},
                          {"size", {{"height", vit.height}, {"width", vit.width}}},
                          {"do_rescale", true},
                          {"do_normalize", true},
                          {"image_mean", model.normalisation.mean},
                          {"image_std", model.normalisation.std}};
  std::error_code error;
  fs::create_directories(folder, error);
  check(!error, ExitCode::usage, "cannot write to the folder ", folder.string(), ": ",
        error.message(), "; choose another name");
  const auto write = [&](const char* file, const json& content) {
    write_file(folder / file, content.dump(1, ' ', false, json::error_handler_t::replace) + "\n");
  };
  write("preprocessor_config.json", preprocessor);
  write_safetensors(folder / "model.safetensors", tensors, {{"format", "pt"}});
  write("config.json", config);  // last: it says that the folder is one
}

}  // namespace sgmae
