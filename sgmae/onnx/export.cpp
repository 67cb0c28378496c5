#include "sgmae/onnx/export.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "sgmae/base/error.h"
#include "sgmae/base/version.h"
#include "sgmae/checkpoint/open_model.h"
#include "sgmae/onnx/dense.h"
#include "sgmae/onnx/encoder.h"

namespace sgmae {
namespace {

std::string numbers(const std::vector<float>& values) {
  std::string text;
  for (const float value : values) {
    std::array<char, 32> digits{};
    const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), value);
    text += str(text.empty() ? "" : ",", std::string(digits.data(), end));
  }
  return text;
}

OnnxGraph::FileOptions file_options(const VitConfig& config, const Normalisation& normalisation,
                                    const std::vector<std::string>& class_names,
                                    const OnnxOptions& options) {
  OnnxGraph::FileOptions file;
  file.description =
      str("pixels: [B, C, H, W], values ", normalisation.stored ? "as stored" : "of 0 to 1",
          " less `mean`, divided by `std` (metadata)");
  file.metadata = {{"mean", numbers(normalisation.mean)},
                   {"std", numbers(normalisation.std)},
                   {"values", normalisation.stored ? "stored" : "0 to 1"},
                   {"height", std::to_string(config.height)},
                   {"width", std::to_string(config.width)},
                   {"patch_size", std::to_string(config.patch_size)},
                   {"sgmae_version", version}};
  if (!class_names.empty())
    file.metadata["class_names"] =
        nlohmann::json(class_names).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (options.data_beside) file.most_inside = 0;
  return file;
}

// The graph's first value.
std::string pixels_of(OnnxGraph& graph, const VitConfig& config, const OnnxOptions& options) {
  std::vector<OnnxDim> shape{"batch", config.channels, config.height, config.width};
  if (options.batch > 0) shape[0] = options.batch;
  if (options.any_size) shape[2] = "height", shape[3] = "width";
  return graph.input("pixels", shape);
}

OnnxDim batch_of(const OnnxOptions& options) {
  return options.batch > 0 ? OnnxDim(options.batch) : OnnxDim("batch");
}

// Why images of other sizes need other weights; "" where they do not.
std::string fixed_by(const ModelFile& file) {
  for (const BlockAttention& attention : file.vit.attention)
    if (attention != BlockAttention{})
      return "its relative positions are those of one grid of patches";
  const bool same = file.vit.position_embedding && position_resize(file) != PositionResize::plain;
  return same ? "DINOv2 stretches its positions in a way of its own" : "";
}

}  // namespace

std::string shape_text(const std::vector<OnnxDim>& shape) {
  std::string text;
  for (const OnnxDim& dim : shape) {
    text += str(text.empty() ? "[" : ", ", dim.name.empty() ? std::to_string(dim.size) : dim.name);
  }
  return text + "]";
}

std::vector<OnnxOutput> export_onnx(const std::filesystem::path& path, const ModelFile& file,
                                    const OnnxOptions& options) {
  const VitConfig& config = file.vit;
  make_vit(file);  // checks the weights
  if (options.any_size)
    check(fixed_by(file).empty(), ExitCode::usage, file.path.string(), ": ", fixed_by(file),
          "; leave out --any_size and choose a size by --input_size");
  OnnxOutputs wanted = options.outputs;
  if (wanted == OnnxOutputs::automatic)
    wanted = config.classes > 0 ? OnnxOutputs::logits : OnnxOutputs::all;
  check(wanted != OnnxOutputs::cls || config.class_token, ExitCode::usage, file.path.string(),
        ": the model has no class token; choose --outputs mean or patches");
  check(wanted != OnnxOutputs::logits || config.classes > 0, ExitCode::usage, file.path.string(),
        ": the model has no classification head; choose --outputs all, or a fine-tuned checkpoint "
        "or linear probe");

  OnnxGraph graph(options.half ? at::kHalf : at::kFloat);
  const std::string pixels = pixels_of(graph, config, options);
  const std::string tokens = encoder_graph(graph, config, file.tensors, pixels, options.any_size);
  const OnnxDim batch = batch_of(options), dim = config.size.dim,
                n = options.any_size ? OnnxDim("patches") : OnnxDim(config.n_patches());
  std::vector<OnnxOutput> outputs;
  const auto add = [&](const char* name, const std::string& value, std::vector<OnnxDim> shape) {
    graph.output(name, value, shape);
    outputs.push_back({name, std::move(shape)});
  };
  const bool all = wanted == OnnxOutputs::all;
  if (all || wanted == OnnxOutputs::mean)
    add("mean", mean_token(graph, config, file.tensors, tokens), {batch, dim});
  if ((all && config.class_token) || wanted == OnnxOutputs::cls)
    add("cls", class_token(graph, config, tokens), {batch, dim});
  if (all || wanted == OnnxOutputs::patches)
    add("patches", patch_tokens(graph, config, tokens), {batch, n, dim});
  if (wanted == OnnxOutputs::logits)
    add("logits", logits(graph, config, file.tensors, tokens), {batch, config.classes});
  graph.write(path,
              file_options(config, file.info.normalisation(), file.info.class_names, options));
  return outputs;
}

std::vector<OnnxOutput> export_onnx(const std::filesystem::path& path, const DetectorFile& file,
                                    const OnnxOptions& options) {
  check(options.outputs == OnnxOutputs::automatic, ExitCode::usage, file.path.string(),
        ": of a detector the maps of its pyramid are exported; leave out --outputs");
  check(!options.any_size, ExitCode::usage, file.path.string(),
        ": its relative positions are those of one grid of patches; leave out --any_size");
  const VitConfig& config = file.config.backbone;
  MaskRcnn model(file.config, std::nullopt);
  load_detector(file, model);  // checks the weights
  OnnxGraph graph(options.half ? at::kHalf : at::kFloat);
  const std::string pixels = pixels_of(graph, config, options);
  const std::string tokens = encoder_graph(graph, config, file.tensors, pixels, false);
  const std::vector<std::string> levels =
      pyramid_graph(graph, config, file.tensors, patch_map(graph, config, tokens));
  std::vector<OnnxOutput> outputs;
  std::int64_t rows = 4 * config.grid_height(), columns = 4 * config.grid_width();
  for (std::size_t i = 0; i < levels.size(); ++i) {
    const std::vector<OnnxDim> shape{batch_of(options), file.config.channels, rows, columns};
    const std::string name = str("p", i + 2);
    graph.output(name, levels[i], shape);
    outputs.push_back({name, shape});
    const bool last = i + 2 == levels.size();  // of it every second cell is taken
    const auto half = [&](std::int64_t side) {
      return last ? (side + 1) / 2 : std::max<std::int64_t>(1, side / 2);
    };
    rows = half(rows), columns = half(columns);
  }
  graph.write(path, file_options(config, file.normalisation, file.classes.names, options));
  return outputs;
}

std::vector<OnnxOutput> export_onnx(const std::filesystem::path& path, const SegmenterFile& file,
                                    const OnnxOptions& options) {
  check(options.outputs == OnnxOutputs::automatic || options.outputs == OnnxOutputs::logits,
        ExitCode::usage, file.path.string(),
        ": a segmentation model has no features to hand out; choose --outputs auto or logits");
  check(!options.any_size, ExitCode::usage, file.path.string(),
        ": it looks at crops of one size; leave out --any_size");
  const VitConfig& vit = file.config.backbone;
  Segmenter model(file.config, std::nullopt);
  load_segmenter(file, model);  // checks the weights
  OnnxGraph graph(options.half ? at::kHalf : at::kFloat);
  const std::string pixels = pixels_of(graph, vit, options);
  const std::string logits =
      segment_logits(graph, file.config, file.tensors,
                     block_maps(graph, vit, file.tensors, pixels, file.config.taps));
  const std::int64_t by_patch = file.config.head == SegmentHead::uper ? 4 : 1;
  const OnnxDim batch = batch_of(options);
  std::vector<OnnxOutput> outputs{
      {"logits",
       {batch, file.config.classes, by_patch * vit.grid_height(), by_patch * vit.grid_width()}}};
  graph.output("logits", logits, outputs[0].shape);
  if (options.outputs == OnnxOutputs::automatic) {
    outputs.push_back({"labels", {batch, vit.height, vit.width}});
    graph.output("labels", pixel_labels(graph, vit, logits), outputs[1].shape, at::kByte);
  }
  graph.write(path, file_options(vit, file.normalisation, file.classes, options));
  return outputs;
}

}  // namespace sgmae
