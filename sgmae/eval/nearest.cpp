#include "sgmae/eval/nearest.h"

#include <ATen/Parallel.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/nan_to_num.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "sgmae/base/error.h"
#include "sgmae/base/progress.h"

namespace sgmae {
namespace {

constexpr std::int64_t similarities_at_once = 1 << 25;  // 128 MB
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

double dot(const float* a, const float* b, std::int64_t dim) {
  double sum = 0;
  for (std::int64_t i = 0; i < dim; ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

// Of rows [M, D]; NaN where one is zero or not finite.
std::vector<double> norms_of(const at::Tensor& rows) {
  std::vector<double> norms;
  const std::int64_t dim = rows.size(1);
  const auto* row = rows.const_data_ptr<float>();
  for (std::int64_t i = 0; i < rows.size(0); ++i, row += dim) {
    const double norm = std::sqrt(dot(row, row, dim));
    norms.push_back(std::isfinite(norm) && norm > 0 ? norm : nan);
  }
  return norms;
}

at::Tensor unit_rows(const at::Tensor& rows) {
  return at::nan_to_num(rows.div(rows.norm(2, {1}, /*keepdim=*/true)), 0, 0, 0);
}

// The k-th largest of `values`, or the lowest there is.
float kth_largest(const float* values, std::int64_t count, std::int64_t k,
                  std::vector<float>& heap) {
  heap.clear();
  for (std::int64_t i = 0; i < count; ++i) {
    if (static_cast<std::int64_t>(heap.size()) < k) {
      heap.push_back(values[i]);
      std::push_heap(heap.begin(), heap.end(), std::greater<>());
    } else if (values[i] > heap.front()) {
      std::pop_heap(heap.begin(), heap.end(), std::greater<>());
      heap.back() = values[i];
      std::push_heap(heap.begin(), heap.end(), std::greater<>());
    }
  }
  return heap.front();
}

}  // namespace

NearestRows::NearestRows(const at::Tensor& features)
    : features_(features.contiguous()), unit_(unit_rows(features)), norms_(norms_of(features_)) {
  SGMAE_ASSERT(features.dim() == 2 && features.scalar_type() == at::kFloat);
}

double NearestRows::doubt() const {
  return static_cast<double>(features_.size(1) + 8) * std::ldexp(1, -24);
}

double NearestRows::cosine(std::int64_t a, std::int64_t b) const {
  const std::int64_t dim = features_.size(1);
  const auto* rows = features_.const_data_ptr<float>();
  return dot(rows + a * dim, rows + b * dim, dim) /
         (norms_[static_cast<std::size_t>(a)] * norms_[static_cast<std::size_t>(b)]);
}

std::vector<std::vector<Neighbour>> NearestRows::find(
    const at::Tensor& given_queries, std::int64_t k,
    const std::vector<std::vector<std::int64_t>>& left_out) const {
  const at::Tensor queries = given_queries.contiguous();
  const std::int64_t all = queries.size(0), rows = size(), dim = features_.size(1);
  SGMAE_ASSERT(k >= 1 && queries.dim() == 2 && queries.size(1) == dim);
  SGMAE_ASSERT(left_out.empty() || static_cast<std::int64_t>(left_out.size()) == all);
  const std::vector<double> norms = norms_of(queries);
  const at::Tensor units = unit_rows(queries);
  const auto* features = features_.const_data_ptr<float>();
  std::vector<std::vector<Neighbour>> found(static_cast<std::size_t>(all));
  // Rows without direction have the similarity 0 until the exact pass drops them.
  const std::int64_t without =
      std::count_if(norms_.begin(), norms_.end(), [](double norm) { return std::isnan(norm); });
  const std::int64_t at_once = std::clamp<std::int64_t>(similarities_at_once / rows, 1, all);
  Progress progress("neighbours", all);
  for (std::int64_t first = 0; first < all; first += at_once) {
    progress.show(first);
    const std::int64_t count = std::min(at_once, all - first);
    const at::Tensor similarity = at::mm(units.narrow(0, first, count), unit_.t());
    at::parallel_for(0, count, 1, [&](std::int64_t begin, std::int64_t end) {
      std::vector<float> heap;
      for (std::int64_t q = begin; q < end; ++q) {
        const auto place = static_cast<std::size_t>(first + q);
        const float* const values = similarity.const_data_ptr<float>() + q * rows;
        const float* const query = queries.const_data_ptr<float>() + (first + q) * dim;
        const auto skips = [&](std::int64_t row) {
          return !left_out.empty() && std::find(left_out[place].begin(), left_out[place].end(),
                                                row) != left_out[place].end();
        };
        const std::int64_t more =
            without + (left_out.empty() ? 0 : static_cast<std::int64_t>(left_out[place].size()));
        const double least =
            kth_largest(values, rows, std::min(k + more, rows), heap) - 2 * doubt();
        std::vector<Neighbour>& best = found[place];
        for (std::int64_t row = 0; row < rows; ++row) {
          if (values[row] < least || skips(row)) continue;
          const double norm = norms_[static_cast<std::size_t>(row)] * norms[place];
          if (!std::isnan(norm))
            best.push_back({row, dot(query, features + row * dim, dim) / norm});
        }
        std::stable_sort(best.begin(), best.end(), [](const Neighbour& a, const Neighbour& b) {
          return a.cosine > b.cosine;
        });
        if (static_cast<std::int64_t>(best.size()) > k) best.resize(static_cast<std::size_t>(k));
      }
    });
  }
  return found;
}

std::vector<std::vector<std::int64_t>> NearestRows::groups(double threshold) const {
  SGMAE_ASSERT(threshold > 0);
  const std::int64_t rows = size();
  std::vector<std::vector<std::int64_t>> members(static_cast<std::size_t>(rows));
  std::vector<bool> taken(static_cast<std::size_t>(rows));
  const std::int64_t at_once =
      std::clamp<std::int64_t>(similarities_at_once / std::max<std::int64_t>(rows, 1), 1, 1024);
  Progress progress("pairs", rows);
  for (std::int64_t first = 0; first < rows; first += at_once) {
    progress.show(first);
    const std::int64_t count = std::min(at_once, rows - first);
    const at::Tensor similarity = at::mm(unit_.narrow(0, first, count), unit_.slice(0, first).t());
    for (std::int64_t i = 0; i < count; ++i) {
      const auto row = static_cast<std::size_t>(first + i);
      if (taken[row]) continue;
      const float* const values = similarity.const_data_ptr<float>() + i * (rows - first);
      for (std::int64_t j = i + 1; j < rows - first; ++j) {
        const auto other = static_cast<std::size_t>(first + j);
        if (values[j] < threshold - doubt() || taken[other]) continue;
        if (!(cosine(first + i, first + j) >= threshold)) continue;
        taken[other] = true;
        members[row].push_back(first + j);
      }
    }
  }
  std::vector<std::vector<std::int64_t>> groups;
  for (std::int64_t row = 0; row < rows; ++row) {
    std::vector<std::int64_t>& others = members[static_cast<std::size_t>(row)];
    if (others.empty()) continue;
    others.insert(others.begin(), row);
    groups.push_back(std::move(others));
  }
  return groups;
}

}  // namespace sgmae
