#include "sgmae/io/tensors.h"

#include <algorithm>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

// In the order of DType.
constexpr at::ScalarType kScalarTypes[] = {at::kDouble,
                                           at::kFloat,
                                           at::kHalf,
                                           at::kBFloat16,
                                           at::kLong,
                                           at::kInt,
                                           at::kShort,
                                           at::kChar,
                                           at::kByte,
                                           at::kBool,
                                           at::kUInt64,
                                           at::kUInt32,
                                           at::kUInt16,
                                           at::kFloat8_e4m3fn,
                                           at::kFloat8_e5m2,
                                           at::kFloat8_e4m3fnuz,
                                           at::kFloat8_e5m2fnuz,
                                           at::kFloat8_e8m0fnu,
                                           at::kComplexFloat};
static_assert(std::size(kScalarTypes) == std::size(kDTypes));

}  // namespace

at::ScalarType scalar_type(DType type) {
  return kScalarTypes[static_cast<std::size_t>(type)];
}

DType dtype_of(const at::Tensor& tensor) {
  const auto found =
      std::find(std::begin(kScalarTypes), std::end(kScalarTypes), tensor.scalar_type());
  SGMAE_ASSERT(found != std::end(kScalarTypes));
  return static_cast<DType>(found - std::begin(kScalarTypes));
}

const at::Tensor* find_tensor(const NamedTensors& tensors, const std::string& name) {
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const auto& tensor) { return tensor.first == name; });
  return found == tensors.end() ? nullptr : &found->second;
}

}  // namespace sgmae
