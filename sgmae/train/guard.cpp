#include "sgmae/train/guard.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sgmae/base/error.h"
#include "sgmae/base/json.h"

namespace sgmae {

double RecentValues::mean() const {
  return std::accumulate(values_.begin(), values_.end(), 0.0) / static_cast<double>(values_.size());
}

double RecentValues::z_score(double value, double least_deviation) const {
  if (values_.size() < needed) return 0;
  const double center = mean();
  double variance = 0;
  for (const double v : values_) variance += (v - center) * (v - center);
  variance /= static_cast<double>(values_.size());
  return (value - center) / std::max(std::sqrt(variance), least_deviation);
}

void RecentValues::add(double value) {
  values_.push_back(value);
  if (values_.size() > capacity) values_.pop_front();
}

StepVerdict StepGuard::judge(double loss, double gradient_norm) {
  StepVerdict verdict = StepVerdict::good;
  if (!std::isfinite(loss) || !std::isfinite(gradient_norm)) {
    verdict = StepVerdict::not_finite;
  } else {
    const double log_norm = std::log(std::max(gradient_norm, 1e-30));
    if (outlier_z_ > 0 && (loss_.z_score(loss, 0.02 * std::abs(loss_.mean())) > outlier_z_ ||
                           log_norm_.z_score(log_norm, 0.1) > outlier_z_))
      verdict = StepVerdict::outlier;
    loss_.add(loss);
    log_norm_.add(log_norm);
  }
  const bool bad = verdict != StepVerdict::good;
  bad_in_a_row_ = bad ? bad_in_a_row_ + 1 : 0;
  skipped_ += bad;
  return verdict;
}

void StepGuard::forget() {
  loss_.clear();
  log_norm_.clear();
  bad_in_a_row_ = 0;
}

nlohmann::json StepGuard::state() const {
  return {{"loss", loss_.values()},
          {"log_norm", log_norm_.values()},
          {"bad_in_a_row", bad_in_a_row_},
          {"skipped", skipped_}};
}

void StepGuard::restore(const nlohmann::json& state) {
  loss_.restore(json_numbers(state.at("loss")));
  log_norm_.restore(json_numbers(state.at("log_norm")));
  bad_in_a_row_ = state.at("bad_in_a_row");
  skipped_ = state.at("skipped");
}

void RollbackLimit::count(const std::string& target, const std::string& where,
                          const std::string& advice) {
  check(targets_.insert(target).second, ExitCode::diverged, "training diverged twice after ",
        target, " (", where, "); ", advice);
}

std::uint64_t order_seed(std::uint64_t seed, std::int64_t rollbacks) {
  return seed + static_cast<std::uint64_t>(rollbacks) * 0x9E3779B97F4A7C15ull;
}

}  // namespace sgmae
