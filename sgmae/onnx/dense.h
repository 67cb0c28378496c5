// What detection and segmentation have behind an encoder, as operators of an OnnxGraph: the same
// computation as detect/pyramid.h, segment/uper_head.h and segment/linear_segment_head.h.
#pragma once

#include <string>
#include <vector>

#include "sgmae/onnx/encoder.h"
#include "sgmae/segment/config.h"

namespace sgmae {

// FeaturePyramid::forward of a detector's map: p2 to p6, [B, channels, .., ..].
std::vector<std::string> pyramid_graph(OnnxGraph& graph, const VitConfig& config,
                                       const NamedTensors& weights, const std::string& map);

// Segmenter::logits of the maps of its taps: [B, classes, .., ..] at a quarter of the size
// (UperNet) or by patch (linear).
std::string segment_logits(OnnxGraph& graph, const SegmenterConfig& config,
                           const NamedTensors& weights, const std::vector<std::string>& maps);

// The likeliest class of every pixel of the model's size by such logits: int64 [B, H, W].
std::string pixel_labels(OnnxGraph& graph, const VitConfig& config, const std::string& logits);

}  // namespace sgmae
