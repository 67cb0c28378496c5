// Numbers of many images as they come: mean and spread of every measure at every place, in memory
// that does not grow with the images. Several processes fill one table.
#pragma once

#include <ATen/core/Tensor.h>

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

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

  // Values of every image together with the one before it, which another process may have. `rows`
  // [B, K] is what there is to know of each; of the rows [B, K] of the images before, NaN where
  // there is none, `values` makes [B] when they are gathered.
  using OfImagesBefore = std::function<at::Tensor(const at::Tensor& before)>;
  void add_pairs(const SeriesId& id, double x, const at::Tensor& rows, OfImagesBefore values);

  // Puts what was added since into the curves: that of process 0, then that of process 1, and so
  // on. Collective; all have the same curves then.
  void gather();

  using Curve = std::map<double, Moments>;  // by x
  const std::map<SeriesId, Curve>& curves() const { return curves_; }

 private:
  struct Added {
    SeriesId id;
    double x;
    std::vector<double> numbers;
    at::Tensor rows = {};
    OfImagesBefore values = {};  // of pairs, whose numbers are made later
  };

  std::vector<Added> added_;
  std::map<std::pair<SeriesId, double>, at::Tensor> last_;  // [1, K] of the image met last
  std::map<SeriesId, Curve> curves_;
};

}  // namespace sgmae
