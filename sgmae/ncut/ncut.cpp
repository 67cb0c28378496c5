#include "sgmae/ncut/ncut.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/diag.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/mv.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "sgmae/base/error.h"
#include "sgmae/ncut/lanczos.h"
#include "sgmae/ncut/subspace.h"

namespace sgmae {
namespace {

constexpr double kLooseParts = 1 - 1e-4;  // lambda_3 above: three parts and more without edges
constexpr double kAllAlike = 1e-5;        // lambda_2 below: rounding decides
constexpr double kSameEigenvalue = 1e-7;  // lambda_2 - lambda_3 below: any direction will do
constexpr float kTie = 1e-5f;             // relative to max |y|
constexpr std::int64_t kSmallGraph = 32;  // below, the exact solver is as fast

struct Solution {
  std::vector<float> y;
  double eigenvalue = 0, gap = 0, residual = 0;
  bool finite = true;
  bool solved = false;  // false: left to the exact solver
};

Solution solve_exactly(const at::Tensor& similarity, const NcutOptions& options) {
  const at::Tensor m = similarity.to(at::kDouble);
  Solution solution;
  solution.finite = m.isfinite().all().item<bool>();
  if (!solution.finite) return solution;
  const at::Tensor kept = options.binary ? m * 0 + 1 : m;
  const at::Tensor w = kept.masked_fill(m < options.tau, options.epsilon);
  const at::Tensor inverse_root = w.sum(1).rsqrt();
  const at::Tensor s = w * inverse_root.unsqueeze(1) * inverse_root.unsqueeze(0);
  at::Tensor values, vectors;  // ascending
  try {
    std::tie(values, vectors) = at::linalg_eigh(s);
  } catch (const c10::LinAlgError&) {  // it did not converge: there is no cut to speak of
    solution.finite = false;
    return solution;
  }
  const std::int64_t n = m.size(0);
  const at::Tensor z = vectors.select(1, n - 2).contiguous();
  solution.eigenvalue = values[n - 2].item<double>();
  solution.gap = n > 2 ? solution.eigenvalue - values[n - 3].item<double>() : 2.0;
  solution.residual = (at::mv(s, z) - solution.eigenvalue * z).norm().item<double>();
  const at::Tensor y = (z * inverse_root).to(at::kFloat).contiguous();
  solution.y.assign(y.data_ptr<float>(), y.data_ptr<float>() + n);
  return solution;
}

// Near 1 the fast solvers' estimate of lambda_3 is too rough.
bool is_good(bool converged, double eigenvalue) {
  return converged && eigenvalue <= kLooseParts;
}

std::vector<Solution> solve_on_cpu(const at::Tensor& m, const NcutOptions& options) {
  const std::int64_t n = m.size(1);
  const float* const graphs = m.const_data_ptr<float>();
  std::vector<Solution> solutions(static_cast<std::size_t>(m.size(0)));
  at::parallel_for(0, m.size(0), 1, [&](std::int64_t begin, std::int64_t end) {
    LanczosWorkspace workspace;
    for (std::int64_t image = begin; image < end; ++image) {
      Solution& solution = solutions[static_cast<std::size_t>(image)];
      solution.y.resize(n);
      const SecondEigenvector found =
          second_eigenvector(graphs + image * n * n, n, options, workspace, solution.y.data());
      solution.eigenvalue = found.eigenvalue;
      solution.gap = found.gap;
      solution.residual = found.residual;
      solution.solved = is_good(found.converged, found.eigenvalue);
    }
  });
  return solutions;
}

std::vector<Solution> solve_on_device(const at::Tensor& m, const NcutOptions& options) {
  const std::int64_t n = m.size(1);
  std::vector<Solution> solutions(static_cast<std::size_t>(m.size(0)));
  if (solutions.empty()) return solutions;
  const SecondEigenvectors found = second_eigenvectors(m, options);
  const float* y = found.y.const_data_ptr<float>();
  for (std::size_t image = 0; image < solutions.size(); ++image, y += n) {
    Solution& solution = solutions[image];
    solution.y.assign(y, y + n);
    solution.eigenvalue = found.eigenvalue.const_data_ptr<double>()[image];
    solution.gap = found.gap.const_data_ptr<double>()[image];
    solution.residual = found.residual.const_data_ptr<double>()[image];
    solution.solved = is_good(found.converged.const_data_ptr<bool>()[image], solution.eigenvalue);
  }
  return solutions;
}

// Sign and split; see bipartition(). With argmax |y| made positive the object side is {y >= mean}.
void split(const std::vector<float>& y, float* eigenvector, std::uint8_t* side) {
  float largest = 0;
  double total = 0;
  for (const float value : y) {
    largest = std::max(largest, std::abs(value));
    total += value;
  }
  const auto seed = std::find_if(
      y.begin(), y.end(), [&](float value) { return std::abs(value) >= largest * (1 - kTie); });
  const float sign = *seed < 0 ? -1.0f : 1.0f;
  const float mean = sign * static_cast<float>(total / static_cast<double>(y.size()));
  for (std::size_t i = 0; i < y.size(); ++i) {
    eigenvector[i] = sign * y[i];
    side[i] = eigenvector[i] >= mean - kTie * largest;
  }
}

}  // namespace

std::int64_t Bipartition::degenerate_count() const {
  return std::count(degenerate.begin(), degenerate.end(), 1);
}

Bipartition bipartition(const at::Tensor& similarity, const NcutOptions& options,
                        NcutSolver solver) {
  SGMAE_ASSERT(similarity.dim() == 3 && similarity.size(1) == similarity.size(2));
  const std::int64_t batch = similarity.size(0), n = similarity.size(1);
  check(n >= 2, ExitCode::usage, "an image of one patch cannot be cut; use a smaller patch_size");
  const at::Tensor m = similarity.to(at::kFloat).contiguous();

  Bipartition result;
  result.eigenvector = at::zeros({batch, n}, at::kFloat);
  result.object_side = at::zeros({batch, n}, at::kByte);
  result.eigenvalue = at::zeros({batch}, at::kFloat);
  result.residual = at::zeros({batch}, at::kFloat);
  result.degenerate.assign(batch, 0);

  const auto finish = [&](std::int64_t image, const Solution& s) {
    if (!s.finite || s.eigenvalue < kAllAlike || s.gap < kSameEigenvalue ||
        s.eigenvalue - s.gap > kLooseParts) {
      result.degenerate[image] = 1;
      return;
    }
    result.eigenvalue.data_ptr<float>()[image] = static_cast<float>(s.eigenvalue);
    result.residual.data_ptr<float>()[image] = static_cast<float>(s.residual);
    split(s.y, result.eigenvector.data_ptr<float>() + image * n,
          result.object_side.data_ptr<std::uint8_t>() + image * n);
  };

  std::vector<Solution> solutions(static_cast<std::size_t>(batch));
  if (solver == NcutSolver::fast && n >= kSmallGraph)
    solutions = m.is_cpu() ? solve_on_cpu(m, options) : solve_on_device(m, options);
  std::vector<std::int64_t> left;
  for (std::int64_t image = 0; image < batch; ++image)
    if (!solutions[static_cast<std::size_t>(image)].solved) left.push_back(image);
  result.exact_solves = static_cast<std::int64_t>(left.size());
  const at::Tensor hard =
      m.index_select(0, at::tensor(left, at::kLong).to(m.device())).to(at::kCPU);
  at::parallel_for(0, result.exact_solves, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      solutions[static_cast<std::size_t>(left[i])] = solve_exactly(hard[i], options);
  });
  for (std::int64_t image = 0; image < batch; ++image)
    finish(image, solutions[static_cast<std::size_t>(image)]);
  return result;
}

}  // namespace sgmae
