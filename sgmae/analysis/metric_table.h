// Numbers of many images as they come: mean and spread of every measure at every place, in memory
// that does not grow with the images.
#pragma once

#include <ATen/core/Tensor.h>

#include <compare>
#include <cstdint>
#include <map>
#include <string>

namespace sgmae {

// Mean and standard deviation of values as they come (Welford 1962).
struct Moments {
  std::int64_t count = 0;
  double mean = 0, squares = 0;  // squares: sum of squared distances from the mean

  void add(double value);
  double deviation() const;       // with count - 1; 0 for fewer than two values
  double standard_error() const;  // of the mean: deviation / sqrt(count)
};

// One curve of a chart.
struct SeriesId {
  std::string metric;
  std::size_t model = 0;
  std::string part = {};    // encoder, decoder, or empty where neither is meant
  std::string label = {};   // tells curves of one model and part apart; may be empty
  std::int64_t block = -1;  // the layer a curve over something else belongs to; -1: none
  std::int64_t head = -1;   // -1: mean over heads

  auto operator<=>(const SeriesId&) const = default;
};

class MetricTable {
 public:
  // Values [B] (fp32 or fp64), one per image, of curve `id` at `x`. NaN says that the measure does
  // not exist for an image, which is then left out.
  void add(const SeriesId& id, double x, const at::Tensor& per_image);

  using Curve = std::map<double, Moments>;  // by x
  const std::map<SeriesId, Curve>& curves() const { return curves_; }

 private:
  std::map<SeriesId, Curve> curves_;
};

}  // namespace sgmae
