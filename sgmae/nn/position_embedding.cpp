#include "sgmae/nn/position_embedding.h"

#include <ATen/ops/zeros.h>

#include <cmath>

namespace sgmae {

at::Tensor sincos_position_embedding(std::int64_t rows, std::int64_t cols, std::int64_t dim) {
  at::Tensor table = at::zeros({1, 1 + rows * cols, dim}, at::kFloat);
  float* out = table.data_ptr<float>() + dim;
  const std::int64_t quarter = dim / 4;
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t col = 0; col < cols; ++col, out += dim)
      for (std::int64_t k = 0; k < quarter; ++k) {
        const double omega =
            std::pow(10000.0, -static_cast<double>(k) / static_cast<double>(quarter));
        out[k] = static_cast<float>(std::sin(static_cast<double>(col) * omega));
        out[quarter + k] = static_cast<float>(std::cos(static_cast<double>(col) * omega));
        out[2 * quarter + k] = static_cast<float>(std::sin(static_cast<double>(row) * omega));
        out[3 * quarter + k] = static_cast<float>(std::cos(static_cast<double>(row) * omega));
      }
  return table;
}

}  // namespace sgmae
