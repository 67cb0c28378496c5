#include "sgmae/eval/describe_checkpoint.h"

#include <algorithm>
#include <map>

#include "sgmae/base/counted.h"
#include "sgmae/base/error.h"
#include "sgmae/dense/model_parts.h"
#include "sgmae/detect/pyramid.h"
#include "sgmae/eval/beit_segmenter.h"
#include "sgmae/eval/detector_file.h"
#include "sgmae/eval/segmenter_file.h"

namespace sgmae {
namespace {

using nlohmann::ordered_json;

// "person, bicycle, car … (80)"
std::string classes_text(const std::vector<std::string>& names) {
  constexpr std::size_t shown = 12;
  std::string text;
  for (std::size_t i = 0; i < std::min(shown, names.size()); ++i)
    text += (i > 0 ? ", " : "") + names[i];
  return names.size() > shown ? str(text, " … (", names.size(), ")") : text;
}

// Adds the parts behind the encoder, each with what `about` says of it, and their classes.
void add_parts(const std::vector<Parameter>& parameters,
               const std::map<std::string, std::string>& about,
               const std::vector<std::string>& classes, ModelDescription& d) {
  d.heads["parts"] = ordered_json::object();
  for (const ModelPart& part : parts_of(parameters)) {
    d.heads["parts"][part.name] = part.parameters;
    if (part.name == "encoder") continue;
    d.parts.push_back(
        str(part.name, ": ", about.at(part.name), ", ", millions(part.parameters), " parameters"));
    d.head_parameters += part.parameters;
  }
  d.parts.push_back("classes: " + classes_text(classes));
  d.heads["classes"] = classes;
}

void describe_detector(const DetectorFile& file, ModelDescription& d) {
  const MaskRcnnConfig& c = file.config;
  const std::int64_t patch = c.backbone.patch_size;
  MaskRcnn model(c, std::nullopt);
  load_detector(file, model);
  d.kind = str("a detector of ", c.classes, " classes, ",
               c.masks ? "with masks (Mask R-CNN)" : "boxes alone (Faster R-CNN)",
               ", on a canvas of ", c.backbone.height, "x", c.backbone.width);
  d.heads = {{"model", c.masks ? "mask_rcnn" : "faster_rcnn"}};
  const std::string mask = str(2 * c.rois.mask_cells, "x", 2 * c.rois.mask_cells);
  add_parts(model.parameters(),
            {{"pyramid", str(c.channels, " channels, cells of ", FeaturePyramid::stride(0, patch),
                             " to ", FeaturePyramid::stride(4, patch), " pixels")},
             {"proposal network",
              str(counted(c.proposal_convs, "convolution"), ", ", c.proposals.anchors.ratios.size(),
                  " anchors of ", c.proposals.anchors.scale, " cells")},
             {"box head", str(counted(c.box_convs, "convolution"), ", width ", c.box_hidden)},
             {"mask head", str(counted(c.mask_convs, "convolution"), ", masks of ", mask)}},
            file.classes.names, d);
  d.uses.insert(d.uses.begin(), "sgmae detect: --eval and --predict, or to begin from");
}

void describe_segmenter(const SegmenterFile& file, ModelDescription& d) {
  const SegmenterConfig& c = file.config;
  Segmenter model(c, std::nullopt);
  load_segmenter(file, model);
  const bool uper = c.head == SegmentHead::uper;
  std::string taps;
  for (const std::int64_t tap : c.taps) taps += (taps.empty() ? "" : ", ") + std::to_string(tap);
  d.kind = str("a segmentation model of ", c.classes, " classes, ",
               uper ? "UperNet" : "a linear layer on an encoder that was not trained",
               ", windows of ", c.backbone.height, "x", c.backbone.width);
  d.heads = {{"model", uper ? "uper" : "linear"}, {"taps", c.taps}};
  const std::string blocks = str(c.taps.size() == 1 ? "reads block " : "reads blocks ", taps);
  add_parts(model.parameters(),
            {{"neck", blocks},
             {"decode head", uper ? str(c.channels, " channels") : blocks},
             {"auxiliary head", str(c.auxiliary_channels, " channels")}},
            file.classes, d);
  d.uses.insert(d.uses.begin(), "sgmae segment: --eval and --predict, or to begin from");
}

// The encoder of a model that no other command opens as one.
DescribedModel describe_beit_segmenter(const SegmenterFile& segmenter) {
  DescribedModel model;
  ModelFile& file = model.file;
  file.path = segmenter.path;
  file.vit = segmenter.config.backbone;
  file.info.use(segmenter.normalisation);
  for (const auto& named : segmenter.tensors)
    if (!is_segment_head(named.first)) file.tensors.push_back(named);
  model.description = describe(file);
  model.description.family = "hf_beit";
  model.description.title = "a BeitForSemanticSegmentation of Hugging Face transformers";
  model.description.uses = {"sgmae export: an ONNX file"};
  return model;
}

}  // namespace

DescribedModel describe_checkpoint(const std::filesystem::path& path, const OpenOptions& options) {
  DescribedModel model;
  if (is_beit_segmenter(path)) {
    model = describe_beit_segmenter(read_segmenter(path));
  } else {
    model.file = examine_model_file(path, options);
    model.description = describe(model.file);
  }
  const bool detector = holds_detector(path);
  if (!detector && !holds_segmenter(path)) return model;
  try {
    if (detector)
      describe_detector(read_detector(path), model.description);
    else
      describe_segmenter(read_segmenter(path), model.description);
    model.file.left_out.clear();
  } catch (const Error& error) {
    model.description.warnings.push_back(str("sgmae cannot run the heads: ", error.what()));
  }
  return model;
}

}  // namespace sgmae
