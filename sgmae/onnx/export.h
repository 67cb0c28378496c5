// Models as ONNX files, for programs that know nothing of this one: onnxruntime, OpenVINO,
// TensorRT, browsers.
//
// Input: `pixels` [B, C, H, W] fp32, normalised by the mean and deviation in the file's metadata
// (mean, std: numbers for values of 0 to 1, separated by commas; also height, width, patch_size,
// class_names as JSON). B is named "batch" where it is any.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sgmae/checkpoint/model_file.h"
#include "sgmae/eval/detector_file.h"
#include "sgmae/eval/segmenter_file.h"
#include "sgmae/onnx/graph.h"

namespace sgmae {

// What a file hands out: `mean` [B, D], `cls` [B, D], `patches` [B, N, D], all of these that the
// model has, or the classifier's `logits` [B, classes]. Features are those of sgmae embed.
enum class OnnxOutputs { automatic, mean, cls, patches, all, logits };  // automatic: logits or all

struct OnnxOptions {
  OnnxOutputs outputs = OnnxOutputs::automatic;
  std::int64_t batch = 0;    // 0: any
  bool any_size = false;     // height and width are any multiples of the patch size
  bool half = false;         // fp16 inside; input and outputs stay fp32
  bool data_beside = false;  // weights in PATH.data, as always where they are beyond 2 GB
};

struct OnnxOutput {
  std::string name;
  std::vector<OnnxDim> shape;
};
std::string shape_text(const std::vector<OnnxDim>& shape);  // "[batch, 384]"

// Writes an encoder or classifier, for images of file.vit's size. Throws Error: usage for outputs
// that the model does not have, or a size that cannot stay open (relative positions; DINOv2, which
// stretches positions in its own way); checkpoint for weights that are missing, do not fit or are
// not finite, or too large for half precision.
std::vector<OnnxOutput> export_onnx(const std::filesystem::path& path, const ModelFile& file,
                                    const OnnxOptions& options);

// Writes a detector's backbone with its pyramid, for images that fill its canvas: `p2` to `p6` [B,
// channels, .., ..], of a quarter of a patch and so on (detect/pyramid.h). Heads stay behind: they
// choose boxes one by one, which graphs say badly. `options.outputs` is automatic, and the size
// fixed.
std::vector<OnnxOutput> export_onnx(const std::filesystem::path& path, const DetectorFile& file,
                                    const OnnxOptions& options);

// Writes a segmentation model, for crops of its size: `logits` [B, classes, .., ..] as
// Segmenter::logits has them and, unless `options.outputs` is logits, `labels` uint8 [B, H, W], the
// likeliest class of every pixel. The size is fixed.
std::vector<OnnxOutput> export_onnx(const std::filesystem::path& path, const SegmenterFile& file,
                                    const OnnxOptions& options);

}  // namespace sgmae
