#include "sgmae/analysis/metric_table.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/tensor.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "sgmae/base/error.h"
#include "sgmae/parallel/process_group.h"

namespace sgmae {
namespace {

// Numbers of one curve at one x.
struct Entry {
  SeriesId id;
  double x;
  std::vector<double> numbers;
};

std::vector<double> numbers_of(const at::Tensor& tensor) {
  const at::Tensor values = tensor.to(at::kCPU, at::kDouble).contiguous();
  const auto* const first = values.const_data_ptr<double>();
  return {first, first + values.numel()};
}

// Everybody's, by rank, to the last bit.
std::vector<std::vector<Entry>> of_all(std::vector<Entry> own) {
  if (processes().size() == 1) return {std::move(own)};
  nlohmann::json json = nlohmann::json::array();
  for (const auto& [id, x, numbers] : own)
    json.push_back({id.metric, id.model, id.part, id.label, id.block, id.head, x, numbers});
  std::string bytes;
  nlohmann::json::to_cbor(json, bytes);
  std::vector<std::vector<Entry>> all;
  for (const std::string& part : processes().gather(bytes)) {
    all.emplace_back();
    for (const nlohmann::json& one : nlohmann::json::from_cbor(part))
      all.back().push_back({{one[0], one[1], one[2], one[3], one[4], one[5]}, one[6], one[7]});
  }
  return all;
}

}  // namespace

void Moments::add(double value) {
  ++count;
  const double distance = value - mean;
  mean += distance / static_cast<double>(count);
  squares += distance * (value - mean);
}

double Moments::deviation() const {
  return count > 1 ? std::sqrt(squares / static_cast<double>(count - 1)) : 0;
}

double Moments::standard_error() const {
  return count > 0 ? deviation() / std::sqrt(static_cast<double>(count)) : 0;
}

void MetricTable::add(const SeriesId& id, double x, const at::Tensor& per_image) {
  SGMAE_ASSERT(per_image.dim() == 1);
  added_.push_back({id, x, numbers_of(per_image)});
}

void MetricTable::add_pairs(const SeriesId& id, double x, const at::Tensor& rows,
                            OfImagesBefore values) {
  SGMAE_ASSERT(rows.dim() == 2 && rows.size(0) > 0);
  added_.push_back({id, x, {}, rows, std::move(values)});
}

void MetricTable::gather() {
  std::vector<Added> added = std::exchange(added_, {});
  std::vector<Entry> last;
  for (const Added& one : added)
    if (one.rows.defined())
      last.push_back({one.id, one.x, numbers_of(one.rows.slice(0, one.rows.size(0) - 1))});
  auto before = last_;
  int rank = 0;
  for (const std::vector<Entry>& part : of_all(std::move(last))) {
    for (const auto& [id, x, numbers] : part)
      last_[{id, x}] = at::tensor(numbers, at::kDouble).unsqueeze(0);
    if (++rank == processes().rank()) before = last_;
  }
  std::vector<Entry> own;
  for (Added& one : added) {
    if (one.rows.defined()) {
      at::Tensor& row = before[{one.id, one.x}];
      const std::int64_t end = one.rows.size(0) - 1;
      const at::Tensor first =
          row.defined()
              ? row.to(one.rows.options())
              : at::full_like(one.rows.slice(0, 0, 1), std::numeric_limits<double>::quiet_NaN());
      one.numbers = numbers_of(one.values(at::cat({first, one.rows.slice(0, 0, end)})));
      row = one.rows.slice(0, end);
    }
    own.push_back({one.id, one.x, std::move(one.numbers)});
  }
  for (const std::vector<Entry>& part : of_all(std::move(own)))
    for (const auto& [id, x, numbers] : part) {
      Moments& moments = curves_[id][x];
      for (const double number : numbers)
        if (!std::isnan(number)) moments.add(number);
    }
}

}  // namespace sgmae
