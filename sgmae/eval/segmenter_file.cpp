#include "sgmae/eval/segmenter_file.h"

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/base/json.h"
#include "sgmae/base/log.h"
#include "sgmae/checkpoint/checkpoint_name.h"
#include "sgmae/checkpoint/write_model.h"
#include "sgmae/eval/beit_segmenter.h"
#include "sgmae/eval/stored_values.h"
#include "sgmae/io/safetensors_header.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* backbone = "backbone.";

bool is_auxiliary(const std::string& name) {
  return name.starts_with("auxiliary_head.");
}

// Layers whose sizes go with the number of classes.
bool goes_with_classes(const std::string& name) {
  return name.find("_head.classifier.") != std::string::npos;
}

json to_json(const SegmenterConfig& c) {
  json config = to_json(c.backbone);
  config["segmenter"] = {{"classes", c.classes},
                         {"head", c.head == SegmentHead::linear ? "linear" : "uper"},
                         {"taps", c.taps},
                         {"channels", c.channels},
                         {"pool_scales", c.pool_scales},
                         {"auxiliary", c.auxiliary_weight > 0},
                         {"auxiliary_channels", c.auxiliary_channels},
                         {"auxiliary_level", c.auxiliary_level}};
  return config;
}

// The metadata's part about the heads; null for other files.
json heads_of(const Metadata& metadata) {
  const auto header = metadata.find("sgmae");
  if (header == metadata.end()) return nullptr;
  const json ours = json::parse(header->second, nullptr, false);
  return json_member(json_member(ours, "config"), "segmenter");
}

}  // namespace

bool is_segment_head(const std::string& name) {
  return name.starts_with("fpn") || name.starts_with("decode_head.") ||
         name.starts_with("auxiliary_head.");
}

bool holds_segmenter(const fs::path& path) {
  if (is_beit_segmenter(path)) return true;
  const fs::path file = find_model_file(path);
  if (file.extension() != ".safetensors" || !fs::is_regular_file(file)) return false;
  const MappedFile mapped(file);
  return !heads_of(parse_safetensors_header(mapped.bytes(), file.string()).metadata).is_null();
}

SegmenterFile read_segmenter(const fs::path& path) {
  if (is_beit_segmenter(path)) return read_beit_segmenter(path);
  SegmenterFile read;
  read.path = find_model_file(path);
  const bool is_file = read.path.extension() == ".safetensors" && fs::is_regular_file(read.path);
  const TensorFile file = is_file ? read_safetensors(read.path) : TensorFile{};
  const json heads = heads_of(file.metadata);
  check(heads.is_object(), ExitCode::checkpoint, path.string(),
        ": contains no segmentation model; give a run of sgmae segment, its "
        "checkpoint-best.safetensors, or a folder of BeitForSemanticSegmentation");
  const ModelFile encoder = examine_model_file(path);
  SegmenterConfig& c = read.config;
  c.backbone = encoder.vit;
  try {
    heads.at("classes").get_to(c.classes);
    c.head = heads.at("head") == "linear" ? SegmentHead::linear : SegmentHead::uper;
    heads.at("taps").get_to(c.taps);
    heads.at("channels").get_to(c.channels);
    heads.at("pool_scales").get_to(c.pool_scales);
    if (!heads.at("auxiliary").get<bool>()) c.auxiliary_weight = 0;
    heads.at("auxiliary_channels").get_to(c.auxiliary_channels);
    heads.at("auxiliary_level").get_to(c.auxiliary_level);
    check_config(c);
    check(static_cast<std::int64_t>(encoder.info.class_names.size()) == c.classes,
          ExitCode::checkpoint, "it has ", c.classes, " classes and ",
          encoder.info.class_names.size(), " names");
  } catch (const std::exception& error) {  // also sizes that no model has
    fail(ExitCode::checkpoint, read.path.string(), ": its header is damaged (", error.what(),
         "); use another checkpoint");
  }
  read.normalisation = encoder.info.normalisation();
  read.classes = encoder.info.class_names;
  for (const auto& [name, tensor] : file.tensors)
    read.tensors.emplace_back(
        name.starts_with(backbone) ? name.substr(std::string_view(backbone).size()) : name, tensor);
  return read;
}

void load_segmenter(const SegmenterFile& file, Segmenter& model) {
  const bool no_auxiliary = file.config.auxiliary_weight == 0;
  std::int64_t left = 0, auxiliary_left = 0;
  for (Parameter& parameter : model.parameters()) {
    if (no_auxiliary && is_auxiliary(parameter.name)) {
      ++auxiliary_left;
      continue;
    }
    const at::Tensor& stored = find_or_fail(file.tensors, parameter.name, file.path);
    if (goes_with_classes(parameter.name) && stored.sizes() != parameter.value.sizes())
      ++left;
    else if (is_segment_head(parameter.name))
      copy_value(file.path, parameter.name, stored, parameter.value);
    else
      copy_backbone_value(file.path, stored, file.config.backbone, PositionResize::plain,
                          model.config().backbone, parameter);
  }
  for (const auto& [name, value] : model.statistics())
    if (!no_auxiliary || !is_auxiliary(name))
      copy_value(file.path, name, find_or_fail(file.tensors, name, file.path), value);
  if (left > 0)
    info("the checkpoint's heads have ", file.config.classes, " classes and the data set has ",
         model.config().classes, ": training begins with new ones");
  if (auxiliary_left > 0)
    info("the checkpoint has no auxiliary head: training begins with a new one");
  model.parameters_changed();
}

void load_backbone(const Pretrained& file, Segmenter& model) {
  for (Parameter& parameter : model.parameters()) {
    const std::string& name = parameter.name;
    if (is_segment_head(name)) continue;
    const bool added = name.ends_with(".gamma") || name.ends_with(".relative_position_bias_table");
    if (added && !file.find(name)) continue;
    copy_backbone_value(file.path, find_or_fail(file.tensors, name, file.path), file.config,
                        file.position_resize, model.config().backbone, parameter);
  }
  model.parameters_changed();
}

void save_segmenter(const fs::path& path, const Segmenter& model,
                    const Normalisation& normalisation, std::int64_t epoch,
                    const std::vector<std::string>& classes) {
  ModelInfo info;
  info.use(normalisation);
  info.epoch = epoch;
  info.class_names = classes;
  NamedTensors tensors;
  for (const Parameter& parameter : model.parameters())
    tensors.emplace_back(
        is_segment_head(parameter.name) ? parameter.name : backbone + parameter.name,
        parameter.value);
  for (const auto& statistic : model.statistics()) tensors.push_back(statistic);
  save_tensors(path, std::move(tensors), to_json(model.config()), info);
}

}  // namespace sgmae
