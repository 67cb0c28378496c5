// Detectors in files, and whatever else the training of one can begin from.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sgmae/data/annotated_images.h"
#include "sgmae/detect/mask_rcnn.h"
#include "sgmae/eval/classifier_file.h"
#include "sgmae/image/normalise.h"
#include "sgmae/io/tensors.h"

namespace sgmae {

// What a detector's classes are called, and their numbers in COCO's files of results.
struct DetectorClasses {
  std::vector<std::string> names;
  std::vector<std::int64_t> ids;
};
DetectorClasses classes_of(const AnnotatedImages& data);

// A Mask R-CNN as save_detector() wrote it.
struct DetectorFile {
  std::filesystem::path path;  // the file that was read
  MaskRcnnConfig config;       // sizes; what only training and testing look at is at its defaults
  NamedTensors tensors;        // under the model's names
  Normalisation normalisation;
  DetectorClasses classes;
};

// Whether that file, or the best model of that run folder, is a detector.
bool holds_detector(const std::filesystem::path& path);

// Throws Error(checkpoint), naming the file and the cure, for what is none or damaged.
DetectorFile read_detector(const std::filesystem::path& path);

// Copies the weights into a model. Positions follow to its canvas. Heads of other sizes (another
// number of classes) stay as they were drawn, with a note. Throws Error(checkpoint) for tensors
// that are missing, do not fit or are not finite.
void load_detector(const DetectorFile& file, MaskRcnn& model);

// Copies a pre-trained encoder into a model whose backbone was made of its sizes
// (detection_backbone). Positions follow to the canvas, without a class token's; relative positions
// stay zero where the file has none.
void load_backbone(const Pretrained& file, MaskRcnn& model);

// Atomic. Tensors have ViTDet's names: backbone.net.blocks.0.attn.qkv.weight, backbone.simfp_2.0 …,
// proposal_generator.…, roi_heads.….
void save_detector(const std::filesystem::path& path, const MaskRcnn& model,
                   const Normalisation& normalisation, std::int64_t epoch,
                   const DetectorClasses& classes);

}  // namespace sgmae
