// Vision transformers as operators of an OnnxGraph: the same computation as nn/encoder.h and
// nn/vit.h.
#pragma once

#include <string>
#include <vector>

#include "sgmae/io/tensors.h"
#include "sgmae/nn/config.h"
#include "sgmae/onnx/graph.h"

namespace sgmae {

// `weights` have MAE's names. `pixels` names a value [B, C, H, W] -> the name of one [B,
// prefix_tokens+N, D], after the final norm where there is one. B is any. With `any_size` H and W
// are too, and the table of positions, which then must be all that depends on them, is brought to
// their grid within the graph (PositionResize::plain).
std::string encoder_graph(OnnxGraph& graph, const VitConfig& config, const NamedTensors& weights,
                          const std::string& pixels, bool any_size);

// The outputs of some blocks, ascending from 0, as maps [B, D, rows, columns] of the patches.
std::vector<std::string> block_maps(OnnxGraph& graph, const VitConfig& config,
                                    const NamedTensors& weights, const std::string& pixels,
                                    const std::vector<std::int64_t>& blocks);

// What is made of tokens. Registers count to none of them.
std::string class_token(OnnxGraph& graph, const VitConfig& config,
                        const std::string& tokens);  // [B, D]
std::string patch_tokens(OnnxGraph& graph, const VitConfig& config,
                         const std::string& tokens);  // [B, N, D]
// [B, D, rows, columns] of the model's own size.
std::string patch_map(OnnxGraph& graph, const VitConfig& config, const std::string& tokens);
// The mean of patch_tokens() [B, D]; behind it the norm that a classifier with Pooling::mean has.
std::string mean_token(OnnxGraph& graph, const VitConfig& config, const NamedTensors& weights,
                       const std::string& tokens);
// [B, classes]: Vit::logits.
std::string logits(OnnxGraph& graph, const VitConfig& config, const NamedTensors& weights,
                   const std::string& tokens);

}  // namespace sgmae
