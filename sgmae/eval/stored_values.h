// Values from files, put into a model whose backbone may have another grid than the file's.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>

#include "sgmae/io/tensors.h"
#include "sgmae/nn/config.h"
#include "sgmae/nn/parameter.h"
#include "sgmae/nn/position_embedding.h"

namespace sgmae {

// Throws Error(checkpoint), naming the file, where it has no such tensor.
const at::Tensor& find_or_fail(const NamedTensors& tensors, const std::string& name,
                               const std::filesystem::path& path);

// Writes `value` over `to`. Throws Error(checkpoint), naming file and tensor, where it does not fit
// or is not finite.
void copy_value(const std::filesystem::path& path, const std::string& name, const at::Tensor& value,
                const at::Tensor& to);

// A backbone's parameter, brought from the file's grid to the model's, without a class token's
// position where the model has none.
void copy_backbone_value(const std::filesystem::path& path, const at::Tensor& stored,
                         const VitConfig& from, PositionResize how, const VitConfig& to,
                         Parameter& parameter);

}  // namespace sgmae
