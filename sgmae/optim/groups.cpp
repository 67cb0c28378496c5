#include "sgmae/optim/groups.h"

#include <ATen/Parallel.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/scalar_tensor.h>

#include <cmath>

namespace sgmae {
namespace {

// In double, over fixed blocks, so that the value does not depend on the number of threads.
double sum_of_squares(const at::Tensor& tensor) {
  constexpr std::int64_t block = 1 << 14;
  const float* values = tensor.const_data_ptr<float>();
  const std::int64_t count = tensor.numel();
  std::vector<double> partial(static_cast<std::size_t>((count + block - 1) / block));
  at::parallel_for(
      0, static_cast<std::int64_t>(partial.size()), 4, [&](std::int64_t b, std::int64_t e) {
        for (std::int64_t i = b; i < e; ++i) {
          const std::int64_t end = std::min(count, (i + 1) * block);
          std::array<float, 16> lanes{};  // independent sums let the compiler use vector registers
          std::int64_t k = i * block;
          for (; k + 16 <= end; k += 16)
            for (int lane = 0; lane < 16; ++lane)
              lanes[lane] += values[k + lane] * values[k + lane];
          double sum = 0;
          for (; k < end; ++k) sum += double(values[k]) * values[k];
          for (const float lane : lanes) sum += lane;
          partial[static_cast<std::size_t>(i)] = sum;
        }
      });
  double sum = 0;
  for (const double value : partial) sum += value;
  return sum;
}

bool on_device(const std::vector<Parameter>& parameters) {
  return !parameters.empty() && !parameters.front().value.is_cpu();
}

}  // namespace

bool is_decayed(const Parameter& parameter) {
  return parameter.value.dim() > 1 && !parameter.name.ends_with(".bias");
}

at::Tensor gradient_norm(const at::Tensor& gradients) {
  // Nothing is waited for: who needs the value reads it.
  if (!gradients.is_cpu()) return at::linalg_vector_norm(gradients, 2).to(at::kDouble);
  return at::scalar_tensor(std::sqrt(sum_of_squares(gradients)), at::kDouble);
}

at::Tensor gradient_norm(const std::vector<Parameter>& parameters) {
  if (on_device(parameters)) return gradient_norm(flat_gradients(parameters));
  double sum = 0;
  for (const Parameter& parameter : parameters)
    if (parameter.trained()) sum += sum_of_squares(parameter.grad);
  return at::scalar_tensor(std::sqrt(sum), at::kDouble);
}

void zero_gradients(std::vector<Parameter>& parameters) {
  if (on_device(parameters)) {
    flat_gradients(parameters).zero_();
    return;
  }
  for (Parameter& parameter : parameters) {
    if (!parameter.trained()) continue;
    parameter.grad.zero_();
    parameter.cleared = true;
  }
}

}  // namespace sgmae
