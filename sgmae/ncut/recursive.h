// More than two parts, by cutting parts again (Shi & Malik 2000, section 3.3; paper, Figs. 1, 3,
// III and VII).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "sgmae/ncut/options.h"

namespace sgmae {

struct Clustering {
  std::vector<std::int64_t> label;  // [N] 0 ... parts-1, 0 the largest part, ties by lowest patch
  std::int64_t parts = 1;
  std::vector<double> ncut;  // [parts-1] value of each cut taken, in their order
};

// Ncut(A, B) = cut(A, B) / assoc(A, V) + cut(A, B) / assoc(B, V) of a graph V with weights
// similarity [N, N], clamped as `options` say, parted by side [N] (0 or 1; both must occur).
double ncut_value(const at::Tensor& similarity, const std::vector<std::uint8_t>& side,
                  const NcutOptions& options = {});

// Cuts the image with similarity [N, N] into at most `parts` parts. Each part that can be cut has
// one best cut: by bipartition() of its own sub-graph, or along no edge at all where the sub-graph
// falls apart. Of these cuts the one with the smallest Ncut value, taken within the part, comes
// next. There are fewer parts when none can be cut further (all patches alike, or single).
Clustering recursive_ncut(const at::Tensor& similarity, std::int64_t parts,
                          const NcutOptions& options = {});

}  // namespace sgmae
