// Classifiers in files, and whatever else fine-tuning can begin from.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sgmae/checkpoint/model_file.h"
#include "sgmae/image/normalise.h"
#include "sgmae/io/safetensors.h"
#include "sgmae/nn/position_embedding.h"
#include "sgmae/nn/vit.h"

namespace sgmae {

// An encoder, perhaps with a head, of any family that checkpoint/ reads; a decoder is left out.
struct Pretrained {
  std::filesystem::path path;  // the file that was read
  VitConfig config;            // classes: 0 without a head
  NamedTensors tensors;        // under MAE's names
  Normalisation normalisation;
  std::vector<std::string> class_names;  // of the head, where known
  PositionResize position_resize = PositionResize::plain;

  const at::Tensor* find(const std::string& name) const;
};

// `path` is a file, a run folder of fine-tuning (its best classifier) or of pre-training (its
// newest checkpoint). Throws Error(checkpoint), naming the file and the cure, for what holds no
// encoder or is damaged.
Pretrained read_pretrained(const std::filesystem::path& path, const OpenOptions& options = {});

// Copies the weights into a model of the same width and depth. Positions follow to the model's
// grid as the file's family does it. What belongs to the way of classifying stays as initialised,
// with a note, where the file has another: the head (another number of classes), norm or fc_norm
// (another pooling). Throws Error(checkpoint) for a tensor that is missing, of another shape, or
// not finite.
void load_pretrained(const Pretrained& file, Vit& model);

// Atomic; read_pretrained() reads it.
void save_classifier(const std::filesystem::path& path, const Vit& model,
                     const Normalisation& normalisation, std::int64_t epoch,
                     const std::vector<std::string>& class_names);

}  // namespace sgmae
