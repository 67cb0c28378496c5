#include "sgmae/optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace sgmae {

double peak_lr(double lr, double blr, std::int64_t effective_batch) {
  return lr > 0 ? lr : blr * static_cast<double>(effective_batch) / 256.0;
}

double learning_rate(const Schedule& s, double epoch) {
  if (epoch < s.warmup_epochs) return s.peak_lr * epoch / s.warmup_epochs;
  if (!s.steps.empty()) {
    const auto taken =
        std::count_if(s.steps.begin(), s.steps.end(), [&](double step) { return epoch >= step; });
    return s.peak_lr * std::pow(0.1, static_cast<double>(taken));
  }
  const double span = s.epochs - s.warmup_epochs;
  const double progress = span > 0 ? std::min(1.0, (epoch - s.warmup_epochs) / span) : 1.0;
  const double left = s.power > 0 ? std::pow(1.0 - progress, s.power)
                                  : 0.5 * (1.0 + std::cos(std::numbers::pi * progress));
  return s.min_lr + (s.peak_lr - s.min_lr) * left;
}

}  // namespace sgmae
