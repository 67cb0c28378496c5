// sgmae export: a model as an ONNX file.
#include <filesystem>
#include <memory>

#include "cli/command.h"
#include "sgmae/base/log.h"
#include "sgmae/checkpoint/open_model.h"
#include "sgmae/eval/detector_file.h"
#include "sgmae/eval/segmenter_file.h"
#include "sgmae/onnx/export.h"

namespace sgmae {
namespace {

enum class Type { fp32, fp16 };

struct ExportOptions {
  Type precision = Type::fp32;
  std::int64_t input_size = 0;
  OnnxOptions onnx;
  OpenOptions open;

  void declare(Options& o) {
    o.section("model");
    o.add("outputs", onnx.outputs,
          {{"auto", OnnxOutputs::automatic},
           {"mean", OnnxOutputs::mean},
           {"cls", OnnxOutputs::cls},
           {"patches", OnnxOutputs::patches},
           {"all", OnnxOutputs::all},
           {"logits", OnnxOutputs::logits}},
          "what the file computes: mean of the patch tokens [B, D], class token [B, D], patch "
          "tokens [B, N, D], all of them, or class scores [B, classes]; auto: class scores of a "
          "classifier, maps of a detector, class scores and labels of the pixels of a segmentation "
          "model, else all");
    o.add("precision", precision, {{"fp32", Type::fp32}, {"fp16", Type::fp16}},
          "of weights and values inside; input and outputs are fp32");
    o.add("batch_size", onnx.batch, "images at a time; 0: any number");
    o.add("input_size", input_size,
          "side of the images; position embeddings follow. 0: the model's own");
    o.add("any_size", onnx.any_size,
          "images of any size that the patches divide: position embeddings follow inside the file");
    o.add("data_beside", onnx.data_beside,
          "weights in a second file, FILE.data, as always where they take more than 2 GB");
    open.declare(o);
  }
};

nlohmann::ordered_json run_export(const ExportOptions& options,
                                  const std::vector<std::string>& files) {
  check(files.size() == 2, ExitCode::usage,
        "name the checkpoint and the file to write: sgmae export CHECKPOINT FILE.onnx");
  check(files[1].ends_with(".onnx"), ExitCode::usage, "'", files[1], "' must end in .onnx");
  check(options.onnx.batch >= 0, ExitCode::usage, "batch_size must not be negative, but is ",
        options.onnx.batch, "; 0 is any number of images");
  OnnxOptions onnx = options.onnx;
  onnx.half = options.precision == Type::fp16;
  std::vector<OnnxOutput> outputs;
  if (holds_detector(files[0])) {
    check(options.input_size == 0, ExitCode::usage, files[0],
          ": a detector is exported for its own canvas; leave out --input_size");
    outputs = export_onnx(files[1], read_detector(files[0]), onnx);
  } else if (holds_segmenter(files[0])) {
    check(options.input_size == 0, ExitCode::usage, files[0],
          ": a segmentation model is exported for its own crops; leave out --input_size");
    outputs = export_onnx(files[1], read_segmenter(files[0]), onnx);
  } else {
    ModelFile file = read_model_file(files[0], options.open);
    if (options.input_size > 0) resize_input(file, options.input_size, options.input_size);
    outputs = export_onnx(files[1], file, onnx);
  }
  nlohmann::ordered_json shapes = nlohmann::ordered_json::object();
  std::string said;
  for (const OnnxOutput& output : outputs) {
    shapes[output.name] = shape_text(output.shape);
    said += str(said.empty() ? "" : ", ", output.name, " ", shape_text(output.shape));
  }
  info("wrote ", files[1], ": pixels -> ", said);
  return {{"output", files[1]},
          {"opset", OnnxGraph::opset},
          {"precision", options.precision == Type::fp16 ? "fp16" : "fp32"},
          {"outputs", shapes}};
}

}  // namespace

Command export_command() {
  const auto options = std::make_shared<ExportOptions>();
  Command command;
  options->declare(command.options);
  command.positional_help = "CHECKPOINT FILE.onnx";
  command.run = [options](const std::vector<std::string>& files) {
    return run_export(*options, files);
  };
  return command;
}

}  // namespace sgmae
