// Segmentation models in files, and whatever else the training of one can begin from.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sgmae/eval/classifier_file.h"
#include "sgmae/image/normalise.h"
#include "sgmae/io/tensors.h"
#include "sgmae/segment/segmenter.h"

namespace sgmae {

// A model as save_segmenter() wrote it, or a folder of transformers' BeitForSemanticSegmentation.
struct SegmenterFile {
  std::filesystem::path path;  // the file or folder that was read
  SegmenterConfig config;      // what only training looks at is at its defaults
  NamedTensors tensors;        // under the model's names: parameters and statistics
  Normalisation normalisation;
  std::vector<std::string> classes;  // their names
};

// Whether a tensor of that name belongs to neck or heads.
bool is_segment_head(const std::string& name);

// Whether that file or folder, or the best model of that run folder, is such a model.
bool holds_segmenter(const std::filesystem::path& path);

// Throws Error(checkpoint), naming the file and the cure, for what is none or damaged.
SegmenterFile read_segmenter(const std::filesystem::path& path);

// Copies weights and statistics into a model. Positions follow to its size. Layers of another
// number of classes stay as they were drawn, with a note. Throws Error(checkpoint) for tensors that
// are missing, do not fit or are not finite.
void load_segmenter(const SegmenterFile& file, Segmenter& model);

// Copies a pre-trained encoder into a model whose backbone was made of its sizes
// (segmentation_backbone). Positions follow to the model's size; relative positions stay zero and
// LayerScale one where the file has none.
void load_backbone(const Pretrained& file, Segmenter& model);

// Atomic.
void save_segmenter(const std::filesystem::path& path, const Segmenter& model,
                    const Normalisation& normalisation, std::int64_t epoch,
                    const std::vector<std::string>& classes);

}  // namespace sgmae
