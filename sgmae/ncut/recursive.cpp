#include "sgmae/ncut/recursive.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <limits>

#include "sgmae/base/error.h"
#include "sgmae/ncut/ncut.h"

namespace sgmae {
namespace {

using Patches = std::vector<std::int64_t>;

// A part of the image and the best cut of it.
struct Part {
  Patches patches;                 // ascending
  std::vector<std::uint8_t> side;  // of the cut; empty: cannot be cut
  double ncut = std::numeric_limits<double>::infinity();
};

at::Tensor edge_weights(const at::Tensor& similarity, const NcutOptions& options) {
  const at::Tensor m = similarity.to(at::kDouble);
  const at::Tensor kept = options.binary ? m * 0 + 1 : m;
  return kept.masked_fill(m < options.tau, options.epsilon).contiguous();
}

at::Tensor sub_graph(const at::Tensor& similarity, const Patches& patches) {
  const at::Tensor index = at::tensor(patches, at::kLong);
  return at::index_select(at::index_select(similarity, 0, index), 1, index);
}

// 1 for the patches that edges connect to the first one. An edge is what clamping left alone.
std::vector<std::uint8_t> first_component(const at::Tensor& similarity,
                                          const NcutOptions& options) {
  const at::Tensor edges = similarity.to(at::kFloat).contiguous();
  const float* weight = edges.data_ptr<float>();
  const std::int64_t n = edges.size(0);
  const auto is_edge = [&](float w) { return w >= options.tau && w > options.epsilon; };
  std::vector<std::uint8_t> reached(n, 0);
  Patches frontier{0};
  reached[0] = 1;
  while (!frontier.empty()) {
    const std::int64_t i = frontier.back();
    frontier.pop_back();
    for (std::int64_t j = 0; j < n; ++j)
      if (!reached[j] && is_edge(weight[i * n + j])) {
        reached[j] = 1;
        frontier.push_back(j);
      }
  }
  return reached;
}

bool one_sided(const std::vector<std::uint8_t>& side) {
  return std::adjacent_find(side.begin(), side.end(), std::not_equal_to<>()) == side.end();
}

Part make_part(const at::Tensor& similarity, Patches patches, const NcutOptions& options) {
  Part part;
  part.patches = std::move(patches);
  if (part.patches.size() < 2) return part;
  const at::Tensor graph = sub_graph(similarity, part.patches);
  std::vector<std::uint8_t> side = first_component(graph, options);
  if (one_sided(side)) {  // connected
    const Bipartition cut = bipartition(graph.unsqueeze(0), options);
    if (cut.degenerate[0]) return part;
    const std::uint8_t* object = cut.object_side.data_ptr<std::uint8_t>();
    side.assign(object, object + part.patches.size());
    if (one_sided(side)) return part;
  }
  part.ncut = ncut_value(graph, side, options);
  part.side = std::move(side);
  return part;
}

}  // namespace

double ncut_value(const at::Tensor& similarity, const std::vector<std::uint8_t>& side,
                  const NcutOptions& options) {
  const auto n = static_cast<std::int64_t>(side.size());
  SGMAE_ASSERT(similarity.dim() == 2 && similarity.size(0) == n && similarity.size(1) == n);
  SGMAE_ASSERT(!one_sided(side));
  const at::Tensor weights = edge_weights(similarity, options);
  const double* w = weights.data_ptr<double>();
  double cut = 0, association[2] = {0, 0};
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < n; ++j) {
      association[side[i]] += w[i * n + j];
      if (side[i] && !side[j]) cut += w[i * n + j];
    }
  return cut / association[0] + cut / association[1];
}

Clustering recursive_ncut(const at::Tensor& similarity, std::int64_t parts,
                          const NcutOptions& options) {
  SGMAE_ASSERT(similarity.dim() == 2 && similarity.size(0) == similarity.size(1));
  SGMAE_ASSERT(parts >= 1);
  const std::int64_t n = similarity.size(0);
  Patches all(n);
  for (std::int64_t i = 0; i < n; ++i) all[i] = i;

  Clustering result;
  std::vector<Part> leaves{make_part(similarity, all, options)};
  while (static_cast<std::int64_t>(leaves.size()) < parts) {
    const auto next = std::min_element(
        leaves.begin(), leaves.end(), [](const Part& a, const Part& b) { return a.ncut < b.ncut; });
    if (next->side.empty()) break;
    Patches halves[2];
    for (std::size_t i = 0; i < next->patches.size(); ++i)
      halves[next->side[i]].push_back(next->patches[i]);
    result.ncut.push_back(next->ncut);
    *next = make_part(similarity, std::move(halves[0]), options);
    leaves.push_back(make_part(similarity, std::move(halves[1]), options));
  }

  std::sort(leaves.begin(), leaves.end(), [](const Part& a, const Part& b) {
    return a.patches.size() != b.patches.size() ? a.patches.size() > b.patches.size()
                                                : a.patches[0] < b.patches[0];
  });
  result.parts = static_cast<std::int64_t>(leaves.size());
  result.label.resize(n);
  for (std::int64_t k = 0; k < result.parts; ++k)
    for (const std::int64_t patch : leaves[k].patches) result.label[patch] = k;
  return result;
}

}  // namespace sgmae
