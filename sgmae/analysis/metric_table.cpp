#include "sgmae/analysis/metric_table.h"

#include <cmath>

#include "sgmae/base/error.h"

namespace sgmae {

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
  const at::Tensor values = per_image.to(at::kCPU, at::kDouble).contiguous();
  Moments& moments = curves_[id][x];
  for (std::int64_t i = 0; i < values.size(0); ++i) {
    const double value = values.data_ptr<double>()[i];
    if (!std::isnan(value)) moments.add(value);
  }
}

}  // namespace sgmae
