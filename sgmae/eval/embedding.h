// Features of a data set in a file, with what they are of: what sgmae embed writes, and search and
// duplicates read.
//
// FILE.safetensors has the tensors `features`, `readable` [M] (0 or 1) and `label` [M] (-1: none),
// and as metadata `names` and `class_names` (JSON lists) and `embedding` (JSON: EmbeddingInfo).
// FILE.npy has the features alone; beside it lies FILE.npy.json, an object with all of the others.
// FILE.parquet has the columns of a FeatureTable (data/table_file.h), and the other metadata.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sgmae/checkpoint/open_model.h"
#include "sgmae/data/loader.h"
#include "sgmae/data/source.h"
#include "sgmae/eval/token_features.h"

namespace sgmae {

// Whose features they are, and of which images.
struct EmbeddingInfo {
  std::string checkpoint;  // absolute path
  std::string model;       // model_hash
  std::string features;    // mean, cls or patches
  std::int64_t height = 0, width = 0;
  Fit fit = Fit::automatic;      // how images were brought to that size
  std::vector<float> mean, std;  // normalisation
  std::string precision;         // fp32 or bf16
  // Where the images are: absolute paths; without data_path their names are paths from `folder`.
  std::string folder, data_path, split, data_root;
  std::string format;  // TOML of declare_data_format
  std::string data;    // data_hash

  bool operator==(const EmbeddingInfo&) const = default;
};
nlohmann::ordered_json to_json(const EmbeddingInfo& info);

struct Embedding {
  std::filesystem::path path;       // the file; empty for one that was not written
  at::Tensor features;              // [M, D], or [M, N, D] of patches; fp32, NaN where unreadable
  std::vector<std::string> names;   // [M] paths, or file#number
  std::vector<std::int64_t> label;  // [M] -1: unlabelled
  std::vector<std::string> class_names;
  EmbeddingInfo info;

  std::int64_t size() const { return features.size(0); }
  std::vector<bool> readable() const;            // by row
  std::string class_of(std::int64_t row) const;  // "" for an unlabelled image
};

// Throws Error(usage) for a name that ends in none of .safetensors, .npy and .parquet, and where
// Parquet cannot be written for want of Apache Arrow.
void check_embedding_name(const std::filesystem::path& path);
// Whether a file is one of features, by its name, or of tables by its columns.
bool is_embedding(const std::filesystem::path& path);
// Atomic.
void write_embedding(const std::filesystem::path& path, const Embedding& embedding);

// What write_embedding() wrote, with one vector an image. Throws Error(data), naming file and cure,
// for anything else.
Embedding read_embedding(const std::filesystem::path& path);

// The images themselves, in the order of rows. Throws Error(data) where they are no longer there or
// are others.
std::unique_ptr<Source> images_of(const Embedding& embedding);

// The row of an image file among those of the embedding, -1 where it is none of them.
std::vector<std::int64_t> rows_of(const Embedding& embedding,
                                  const std::vector<std::string>& files);

// Features [Q, D] of image files by the model of an embedding. Throws Error: checkpoint where
// `model` is another one; data, naming the file, for one that cannot be read.
at::Tensor embed_like(const Embedding& embedding, const OpenedModel& model,
                      const std::vector<std::string>& files);

}  // namespace sgmae
