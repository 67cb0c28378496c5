// Keeps a bad step from spoiling a run. A step whose loss or gradient norm is not finite, or lies
// far above its recent values, is skipped; many in a row mean that the weights themselves are
// spoiled.
#pragma once

#include <cstdint>
#include <deque>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

namespace sgmae {

// The last values of a quantity and how far a new one lies above them.
class RecentValues {
 public:
  static constexpr std::size_t capacity = 128, needed = 64;

  // Standard deviations above the mean, where the deviation counts as at least `least_deviation`.
  // 0 until `needed` values are known.
  double z_score(double value, double least_deviation) const;
  double mean() const;
  void add(double value);
  void clear() { values_.clear(); }

  std::vector<double> values() const { return {values_.begin(), values_.end()}; }
  void restore(const std::vector<double>& values) { values_.assign(values.begin(), values.end()); }

 private:
  std::deque<double> values_;
};

enum class StepVerdict { good, not_finite, outlier };

class StepGuard {
 public:
  // Bad steps in a row after which the weights are taken to be spoiled; and good steps after which
  // those they began from are taken to be sound.
  static constexpr int spoiled_after = 8;

  // `outlier_z` = 0 judges only whether values are finite.
  explicit StepGuard(double outlier_z) : outlier_z_(outlier_z) {}

  // Judges a step before it is applied. The loss is measured as it is, with a deviation of at least
  // 2 % of its mean; the gradient norm by its logarithm, since its spread is multiplicative, with a
  // deviation of at least 0.1. Finite outliers enter the window too, so a lasting change of level
  // (a harder kind of mask) is accepted after at most four of them at outlier_z = 6.
  StepVerdict judge(double loss, double gradient_norm);

  bool spoiled() const { return bad_in_a_row_ >= spoiled_after; }
  std::int64_t skipped() const { return skipped_; }

  // Forgets recent values, because what comes next is not comparable: new kind of mask, rolled
  // back.
  void forget();

  nlohmann::json state() const;
  void restore(const nlohmann::json& state);

 private:
  double outlier_z_;
  RecentValues loss_, log_norm_;
  int bad_in_a_row_ = 0;
  std::int64_t skipped_ = 0;
};

// A run may be rolled back to the same place once: one that diverges from there again would for
// ever.
class RollbackLimit {
 public:
  bool reached(const std::string& target) const { return targets_.contains(target); }
  // Counts a roll-back to `target` because of what happened at `where`. Throws Error(diverged),
  // with `advice`, where there was one to the same before.
  void count(const std::string& target, const std::string& where, const std::string& advice);

 private:
  std::set<std::string> targets_;
};

// The seed of the order of images, another after each roll-back: the same order might end the same.
std::uint64_t order_seed(std::uint64_t seed, std::int64_t rollbacks);

}  // namespace sgmae
