#include "sgmae/study/statistics.h"

#include <cmath>
#include <limits>
#include <numbers>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

// P(-t <= T <= t).
double student_probability(double t, int freedom) {
  const double angle = std::atan(t / std::sqrt(static_cast<double>(freedom)));
  const double cosine = std::cos(angle);
  const bool odd = freedom % 2 == 1;
  double term = odd ? cosine : 1, sum = 0;
  for (int k = odd ? 1 : 0; k <= freedom - 2; k += 2) {
    sum += term;
    term *= cosine * cosine * (k + 1) / (k + 2);
  }
  sum *= std::sin(angle);
  return odd ? 2 / std::numbers::pi * (angle + sum) : sum;
}

}  // namespace

double student_t(double confidence, int freedom) {
  SGMAE_ASSERT(freedom >= 1 && confidence > 0 && confidence < 1);
  double low = 0, high = 1;
  while (student_probability(high, freedom) < confidence) high *= 2;
  for (int i = 0; i < 100; ++i) {
    const double middle = 0.5 * (low + high);
    (student_probability(middle, freedom) < confidence ? low : high) = middle;
  }
  return high;
}

Summary summarise(const std::vector<double>& values) {
  Summary summary{static_cast<int>(values.size()), 0, std::numeric_limits<double>::quiet_NaN()};
  for (const double value : values) summary.mean += value / summary.count;
  if (summary.count < 2) return summary;
  double squares = 0;
  for (const double value : values) squares += (value - summary.mean) * (value - summary.mean);
  summary.deviation = std::sqrt(squares / (summary.count - 1));
  return summary;
}

PairedDifference paired_difference(const std::vector<double>& a, const std::vector<double>& b) {
  SGMAE_ASSERT(a.size() == b.size());
  std::vector<double> differences(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) differences[i] = a[i] - b[i];
  const Summary summary = summarise(differences);
  const double half = summary.count < 2 ? std::numeric_limits<double>::quiet_NaN()
                                        : student_t(0.95, summary.count - 1) * summary.deviation /
                                              std::sqrt(static_cast<double>(summary.count));
  return {summary.count, summary.mean, summary.mean - half, summary.mean + half};
}

}  // namespace sgmae
