// Folders of transformers' BeitForSemanticSegmentation.
#pragma once

#include <filesystem>

#include "sgmae/eval/segmenter_file.h"

namespace sgmae {

// Whether config.json says that it is one.
bool is_beit_segmenter(const std::filesystem::path& folder);

// As a model of ours, whose taps are the blocks that transformers really reads: out_indices i is
// the output of block i - 2, from 0. Throws Error(checkpoint), naming the folder, for what is
// damaged, and for settings that cannot be run here.
SegmenterFile read_beit_segmenter(const std::filesystem::path& folder);

// Writes such a folder: config.json, preprocessor_config.json, model.safetensors. Biases of keys,
// which change nothing, are left out. Throws Error(usage), with the reason, for a model that it
// cannot hold: with a linear head, one that reads the last block (which transformers cannot), whose
// head is not as wide as its encoder, without class token …
void write_beit_segmenter(const std::filesystem::path& folder, const SegmenterFile& model);

}  // namespace sgmae
