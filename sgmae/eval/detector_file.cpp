#include "sgmae/eval/detector_file.h"

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/base/json.h"
#include "sgmae/base/log.h"
#include "sgmae/checkpoint/checkpoint_name.h"
#include "sgmae/checkpoint/open_model.h"
#include "sgmae/checkpoint/write_model.h"
#include "sgmae/eval/stored_values.h"
#include "sgmae/io/safetensors_header.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* backbone = "backbone.net.";

bool is_head(const std::string& name) {
  return name.starts_with("backbone.") || name.starts_with("proposal_generator.") ||
         name.starts_with("roi_heads.");
}

// Heads whose sizes go with the number of classes.
bool goes_with_classes(const std::string& name) {
  return name.starts_with("roi_heads.box_predictor.") ||
         name.starts_with("roi_heads.mask_head.predictor.");
}

json to_json(const MaskRcnnConfig& c, const std::vector<std::int64_t>& category_ids) {
  json config = to_json(c.backbone);
  config["detector"] = {{"classes", c.classes},
                        {"category_ids", category_ids},
                        {"masks", c.masks},
                        {"channels", c.channels},
                        {"box_hidden", c.box_hidden},
                        {"proposal_convs", c.proposal_convs},
                        {"box_convs", c.box_convs},
                        {"mask_convs", c.mask_convs},
                        {"box_cells", c.rois.box_cells},
                        {"mask_cells", c.rois.mask_cells},
                        {"anchor_scale", c.proposals.anchors.scale},
                        {"anchor_ratios", c.proposals.anchors.ratios}};
  return config;
}

// The metadata's part about the heads; null for other files.
json heads_of(const Metadata& metadata) {
  const auto header = metadata.find("sgmae");
  if (header == metadata.end()) return nullptr;
  const json ours = json::parse(header->second, nullptr, false);
  return json_member(json_member(ours, "config"), "detector");
}

}  // namespace

DetectorClasses classes_of(const AnnotatedImages& data) {
  DetectorClasses classes{data.class_names(), {}};
  for (std::size_t i = 0; i < classes.names.size(); ++i)
    classes.ids.push_back(data.category_id(static_cast<std::int64_t>(i)));
  return classes;
}

bool holds_detector(const fs::path& path) {
  const fs::path file = find_model_file(path);
  if (file.extension() != ".safetensors" || !fs::is_regular_file(file)) return false;
  const MappedFile mapped(file);
  return !heads_of(parse_safetensors_header(mapped.bytes(), file.string()).metadata).is_null();
}

DetectorFile read_detector(const fs::path& path) {
  DetectorFile read;
  read.path = find_model_file(path);
  const bool is_file = read.path.extension() == ".safetensors" && fs::is_regular_file(read.path);
  const TensorFile file = is_file ? read_safetensors(read.path) : TensorFile{};
  const json heads = heads_of(file.metadata);
  check(heads.is_object(), ExitCode::checkpoint, path.string(),
        ": contains no detector; give a run of sgmae detect, or its checkpoint-best.safetensors");
  const ModelFile encoder = examine_model_file(path);
  MaskRcnnConfig& c = read.config;
  c.backbone = encoder.vit;
  try {
    heads.at("classes").get_to(c.classes);
    heads.at("masks").get_to(c.masks);
    heads.at("channels").get_to(c.channels);
    heads.at("box_hidden").get_to(c.box_hidden);
    heads.at("proposal_convs").get_to(c.proposal_convs);
    heads.at("box_convs").get_to(c.box_convs);
    heads.at("mask_convs").get_to(c.mask_convs);
    heads.at("box_cells").get_to(c.rois.box_cells);
    heads.at("mask_cells").get_to(c.rois.mask_cells);
    heads.at("anchor_scale").get_to(c.proposals.anchors.scale);
    heads.at("anchor_ratios").get_to(c.proposals.anchors.ratios);
    heads.at("category_ids").get_to(read.classes.ids);
    check_config(c);
    check(static_cast<std::int64_t>(read.classes.ids.size()) == c.classes, ExitCode::checkpoint,
          "it has ", c.classes, " classes and ", read.classes.ids.size(), " category_ids");
  } catch (const std::exception& error) {  // also sizes that no model has
    fail(ExitCode::checkpoint, read.path.string(), ": its header is damaged (", error.what(),
         "); use another checkpoint");
  }
  read.normalisation = encoder.info.normalisation();
  read.classes.names = encoder.info.class_names;
  for (const auto& [name, tensor] : file.tensors)
    read.tensors.emplace_back(
        name.starts_with(backbone) ? name.substr(std::string_view(backbone).size()) : name, tensor);
  return read;
}

void load_detector(const DetectorFile& file, MaskRcnn& model) {
  std::int64_t left = 0;
  for (Parameter& parameter : model.parameters()) {
    const at::Tensor& stored = find_or_fail(file.tensors, parameter.name, file.path);
    if (goes_with_classes(parameter.name) && stored.sizes() != parameter.value.sizes())
      ++left;
    else if (is_head(parameter.name))
      copy_value(file.path, parameter.name, stored, parameter.value);
    else
      copy_backbone_value(file.path, stored, file.config.backbone, PositionResize::plain,
                          model.config().backbone, parameter);
  }
  if (left > 0)
    info("the checkpoint's heads have ", file.config.classes, " classes and the data set has ",
         model.config().classes, ": training begins with new ones");
  model.parameters_changed();
}

void load_backbone(const Pretrained& file, MaskRcnn& model) {
  for (Parameter& parameter : model.parameters()) {
    if (is_head(parameter.name)) continue;
    const bool relative = parameter.name.find(".rel_pos_") != std::string::npos;
    if (relative && !file.find(parameter.name)) continue;
    copy_backbone_value(file.path, find_or_fail(file.tensors, parameter.name, file.path),
                        file.config, file.position_resize, model.config().backbone, parameter);
  }
  model.parameters_changed();
}

void save_detector(const fs::path& path, const MaskRcnn& model, const Normalisation& normalisation,
                   std::int64_t epoch, const DetectorClasses& classes) {
  ModelInfo info;
  info.use(normalisation);
  info.epoch = epoch;
  info.class_names = classes.names;
  NamedTensors tensors;
  for (const Parameter& parameter : model.parameters())
    tensors.emplace_back(is_head(parameter.name) ? parameter.name : backbone + parameter.name,
                         parameter.value);
  save_tensors(path, std::move(tensors), to_json(model.config(), classes.ids), info);
}

}  // namespace sgmae
