// Maps that the user gives, one for each training image: what to hide, or which part every patch
// belongs to. The file is memory-mapped and may be larger than memory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sgmae/base/file.h"
#include "sgmae/io/dtype.h"
#include "sgmae/mask/strategy.h"

namespace sgmae {

enum class GivenKind {
  hiding,  // floating point, the most relevant patches are hidden; or bytes and booleans, 1: hide
  parts    // whole numbers, one for each part
};

class GivenMaps {
 public:
  // A .npy file, or a safetensors file with the tensor `relevance` (floating point) or `mask`
  // (bytes or booleans), or `parts` (whole numbers): [images, rows, columns], of every training
  // image in the data set's order, whole and squashed to the model's patches. Relevance maps that
  // sgmae made are such files. `option` names the file in errors. Throws Error(data) for a file
  // that is not one, or that does not fit the images or the model.
  GivenMaps(const std::filesystem::path& path, std::string option, GivenKind kind,
            const MaskContext& context);

  // Map of image `index`, [rows * columns].
  std::vector<float> map(std::int64_t index) const;

  // In a strategy's state. restore() throws Error(usage) where a run went by another file.
  void save(nlohmann::json& state) const;
  void check_same(const nlohmann::json& state) const;

 private:
  // What a file calls what it holds.
  struct Found {
    std::string name;  // "" in .npy files
    DType type;
    std::vector<std::int64_t> shape;
    const std::uint8_t* data;
  };
  Found find(GivenKind kind, const Source& source) const;

  std::filesystem::path path_;
  std::string option_;
  MappedFile file_;
  DType type_ = DType::f32;
  std::int64_t values_ = 0;  // of a map
  const std::uint8_t* data_ = nullptr;
  std::string checksum_;  // of the whole file
};

}  // namespace sgmae
