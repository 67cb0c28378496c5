// The few statistics of a study: mean and deviation over seeds, and whether two variants differ.
#pragma once

#include <vector>

namespace sgmae {

struct Summary {
  int count = 0;
  double mean = 0;
  double deviation = 0;  // of the sample (n - 1); NaN for fewer than two values
};
Summary summarise(const std::vector<double>& values);

// Mean of the differences a[i] - b[i] and the interval in which the true one lies with 95 %
// confidence, by Student's t distribution; the ends are NaN for fewer than two pairs.
struct PairedDifference {
  int count = 0;
  double mean = 0, low = 0, high = 0;
};
PairedDifference paired_difference(const std::vector<double>& a, const std::vector<double>& b);

// The t for which a Student variable with `freedom` >= 1 degrees lies in -t .. t with probability
// `confidence` (Abramowitz & Stegun 1964, 26.7.3 and 26.7.4, inverted).
double student_t(double confidence, int freedom);

}  // namespace sgmae
