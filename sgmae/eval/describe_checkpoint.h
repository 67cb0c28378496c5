// What sgmae inspect says of any checkpoint: describe() of its encoder or autoencoder, and the
// heads of a detector or of a segmentation model.
#pragma once

#include <filesystem>

#include "sgmae/checkpoint/describe.h"

namespace sgmae {

struct DescribedModel {
  ModelFile file;  // heads of detectors and segmentation models are not among its tensors
  ModelDescription description;
};

// Opens a checkpoint as examine_model_file() does, or a folder of transformers'
// BeitForSemanticSegmentation, and makes the model to see whether it runs; what keeps heads from
// running is a warning. Throws as examine_model_file().
DescribedModel describe_checkpoint(const std::filesystem::path& path,
                                   const OpenOptions& options = {});

}  // namespace sgmae
