// Exact nearest neighbours among features by cosine, and groups of features that are nearly the
// same. One matrix product finds who is in question, in fp32; who is nearer is then decided in
// fp64, so that equal features have equal cosines wherever they stand.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace sgmae {

struct Neighbour {
  std::int64_t row = 0;
  double cosine = 0;
  bool operator==(const Neighbour&) const = default;
};

class NearestRows {
 public:
  // features [M, D] fp32. Rows that are not finite (unreadable images) are nobody's neighbours.
  explicit NearestRows(const at::Tensor& features);

  std::int64_t size() const { return features_.size(0); }

  // Of each of `queries` [Q, D] fp32 the `k` nearest rows, or all where there are fewer: nearest
  // first, of equally near ones the first. `left_out` has a list of rows for each query that do not
  // count (itself, mostly), or is empty.
  std::vector<std::vector<Neighbour>> find(
      const at::Tensor& queries, std::int64_t k,
      const std::vector<std::vector<std::int64_t>>& left_out = {}) const;

  // Each row, in order, takes the later ones that nobody has taken and whose cosine with it is
  // `threshold` or more, 0 < threshold <= 1. Groups of two or more, in order, by their first row,
  // to which all of them are that near. Time grows with M².
  std::vector<std::vector<std::int64_t>> groups(double threshold) const;

  double cosine(std::int64_t a, std::int64_t b) const;

 private:
  double doubt() const;  // by how much an fp32 cosine may be off

  at::Tensor features_, unit_;  // [M, D]; and of unit length, zeros for rows that are not finite
  std::vector<double> norms_;   // [M] NaN for those
};

}  // namespace sgmae
