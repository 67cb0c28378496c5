// Tensors as files hold them: named, in file order.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sgmae/io/dtype.h"

namespace sgmae {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;
using Metadata = std::map<std::string, std::string>;

at::ScalarType scalar_type(DType type);

// The type under which files hold the tensor. Asserts that it is one of DType.
DType dtype_of(const at::Tensor& tensor);

// nullptr when absent.
const at::Tensor* find_tensor(const NamedTensors& tensors, const std::string& name);

}  // namespace sgmae
