#include "sgmae/ncut/subspace.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/stack.h>

#include "sgmae/base/error.h"
#include "sgmae/base/rng.h"

namespace sgmae {
namespace {

constexpr std::int64_t kBlock = 8;     // vectors; the eigenproblems of 8 x 8 go as a batch on a GPU
constexpr int kDegree = 10;            // products a round
constexpr int kRounds = 8;             // then it is left to the exact solver
constexpr double kVectorError = 5e-5;  // as lanczos.cpp

at::Tensor transposed(const at::Tensor& matrices) {
  return matrices.transpose(1, 2);
}

// S less its first eigenvector's part, fp32. Weights lose what all share before they are scaled,
// since that may be nearly all there is of them.
struct Graphs {
  at::Tensor s;             // [B, n, n]; zero where not valid
  at::Tensor inverse_root;  // [B, n] fp64, D^-1/2
  at::Tensor first;         // [B, n, 1] fp64, unit, D^1/2 1
  at::Tensor valid;         // [B] bool

  Graphs(const at::Tensor& m, const NcutOptions& options) {
    const at::Tensor kept = options.binary ? m * 0 + 1 : m;
    const at::Tensor w = kept.masked_fill(m < options.tau, options.epsilon);
    const at::Tensor degree = w.sum(at::IntArrayRef{2}, false, at::kDouble);
    valid = m.isfinite().flatten(1).all(1).logical_and((degree > 0).all(1));
    const at::Tensor usable = valid.unsqueeze(1);
    const at::Tensor d = degree.masked_fill(usable.logical_not(), 1);
    inverse_root = d.rsqrt();
    first = (d / d.sum(1, /*keepdim=*/true)).sqrt().unsqueeze(2);
    const at::Tensor relative = (d / d.sum(1, /*keepdim=*/true)).to(at::kFloat);
    const at::Tensor scale = inverse_root.to(at::kFloat);
    s = (w - d.to(at::kFloat).unsqueeze(2) * relative.unsqueeze(1))
            .mul_(scale.unsqueeze(2))
            .mul_(scale.unsqueeze(1))
            .masked_fill_(usable.logical_not().unsqueeze(2), 0);
  }
};

// An orthonormal basis, orthogonal to `first`, of what the columns of x [B, n, k] span. Columns are
// of very different length, and some may nearly coincide.
at::Tensor orthonormal(const at::Tensor& x, const at::Tensor& first) {
  at::Tensor v = x.to(at::kDouble);
  v = v - at::bmm(first, at::bmm(transposed(first), v));
  v = v / at::linalg_vector_norm(v, 2, at::IntArrayRef{1}, /*keepdim=*/true).clamp_min(1e-30);
  const auto [values, vectors] = at::linalg_eigh(at::bmm(transposed(v), v));
  return at::bmm(v, vectors * values.clamp_min(1e-12).rsqrt().unsqueeze(1)).to(at::kFloat);
}

// p(S) x for the polynomial of degree kDegree that stays smallest on [low, high] [B] and is 1 at
// `top` [B] beyond.
at::Tensor filtered(const at::Tensor& s, const at::Tensor& x, const at::Tensor& low,
                    const at::Tensor& high, const at::Tensor& top) {
  const auto each = [](const at::Tensor& values) { return values.to(at::kFloat).view({-1, 1, 1}); };
  const at::Tensor half = (high - low) / 2, centre = (high + low) / 2;
  const at::Tensor first = half / (top - centre), middle = each(centre);
  at::Tensor sigma = first, before = x;
  at::Tensor now = (at::bmm(s, x) - middle * x) * each(sigma / half);
  for (int degree = 2; degree <= kDegree; ++degree) {
    const at::Tensor next = 1 / (2 / first - sigma);
    const at::Tensor following =
        (at::bmm(s, now) - middle * now) * each(2 * next / half) - each(sigma * next) * before;
    before = now;
    now = following;
    sigma = next;
  }
  return now;
}

// Without structure: it has a share in every eigenvector.
at::Tensor start(std::int64_t n, at::Device device) {
  at::Tensor x = at::empty({1, n, kBlock}, at::kFloat);
  Rng rng(12345, 0, 0, Purpose::probe);
  for (std::int64_t i = 0; i < x.numel(); ++i)
    x.data_ptr<float>()[i] = static_cast<float>(rng.normal());
  return x.to(device);
}

}  // namespace

SecondEigenvectors second_eigenvectors(const at::Tensor& similarity, const NcutOptions& options) {
  const std::int64_t n = similarity.size(1);
  SGMAE_ASSERT(similarity.dim() == 3 && n >= 2 * kBlock);
  const Graphs graphs(similarity, options);
  const at::Tensor squares = graphs.s.square().sum(at::IntArrayRef{1, 2}, false, at::kDouble);
  at::Tensor x = orthonormal(start(n, similarity.device()).expand({similarity.size(0), n, kBlock}),
                             graphs.first);
  at::Tensor z, eigenvalue, gap, residual, converged;
  for (int round = 0;; ++round) {
    const at::Tensor image = at::bmm(graphs.s, x);
    const at::Tensor projected = at::bmm(transposed(x.to(at::kDouble)), image.to(at::kDouble));
    const auto [values, vectors] = at::linalg_eigh((projected + transposed(projected)) / 2);
    const at::Tensor turn = vectors.to(at::kFloat);  // columns by ascending value
    x = at::bmm(x, turn);
    const at::Tensor error = at::linalg_vector_norm(
        at::bmm(image, turn) - x * values.to(at::kFloat).unsqueeze(1), 2, at::IntArrayRef{1});
    z = x.select(2, kBlock - 1);
    eigenvalue = values.select(1, kBlock - 1);
    gap = eigenvalue - values.select(1, kBlock - 2);
    residual = error.select(1, kBlock - 1).to(at::kDouble);
    // The next eigenvalue is known as well as it must be for the gap to be one.
    converged = (residual <= kVectorError * gap)
                    .logical_and(error.select(1, kBlock - 2) <= 0.05 * gap)
                    .logical_and(gap > 0)
                    .logical_and(graphs.valid);
    const bool done = converged.logical_or(graphs.valid.logical_not()).all().item<bool>();
    if (done || round == kRounds) break;
    // No eigenvalue lies below what the sum of their squares leaves.
    const at::Tensor left = squares - values.clamp_min(0).square().sum(1);
    const at::Tensor low = left.clamp(0, 1).sqrt().neg() - 1e-6;
    const at::Tensor width = (eigenvalue - low).clamp_min(1e-6);
    const at::Tensor high = at::maximum(values.select(1, 0), low + 0.01 * width);
    const at::Tensor top = at::maximum(eigenvalue, high + 1e-3 * width);
    x = orthonormal(filtered(graphs.s, x, low, high, top), graphs.first);
  }
  const at::Tensor numbers = at::stack({eigenvalue, gap, residual, converged.to(at::kDouble)}, 1);
  const at::Tensor found =  // all at once, since the host waits
      at::cat({z.to(at::kDouble) * graphs.inverse_root, numbers}, 1).cpu();
  return {found.narrow(1, 0, n).to(at::kFloat).contiguous(), found.select(1, n).contiguous(),
          found.select(1, n + 1).contiguous(), found.select(1, n + 2).contiguous(),
          found.select(1, n + 3).to(at::kBool).contiguous()};
}

}  // namespace sgmae
