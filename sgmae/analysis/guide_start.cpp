#include "sgmae/analysis/guide_start.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

// Early epochs, with their high learning rates, say little about the noise of later ones.
constexpr std::size_t kNoiseEpochs = 20;

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Standard deviation of a curve's noise from its second differences, which a trend hardly touches:
// for independent normal noise they have variance 6. By their mean size, which one jump moves less
// than it moves their mean square.
double noise_of(std::span<const double> curve) {
  if (curve.size() < 3) return 0;
  double total = 0;
  for (std::size_t i = 2; i < curve.size(); ++i)
    total += std::abs(curve[i] - 2 * curve[i - 1] + curve[i - 2]);
  return total / static_cast<double>(curve.size() - 2) * std::sqrt(std::numbers::pi / 2 / 6);
}

}  // namespace

GuideStartVerdict guide_start_verdict(std::span<const double> masked_share, double mask_ratio,
                                      const GuideStartOptions& options) {
  SGMAE_ASSERT(options.window >= 1);
  const auto window = static_cast<std::size_t>(options.window);
  if (masked_share.size() < window)
    return {{},
            str("the exploitation rate has been measured for ", masked_share.size(), " of the ",
                window, " epochs that a verdict needs")};
  double lowest = 1, now = 1, margin = options.rise;
  std::size_t lowest_epoch = 0;
  for (std::size_t e = window - 1; e < masked_share.size(); ++e) {
    const std::span<const double> last = masked_share.subspan(e + 1 - window, window);
    // Where attention lies on the class token alone there is no share: such epochs decide nothing.
    if (!std::all_of(last.begin(), last.end(), [](double share) { return std::isfinite(share); }))
      continue;
    now = median({last.begin(), last.end()});
    if (now < lowest) {
      lowest = now;
      lowest_epoch = e - window / 2;
    }
    const std::size_t recent = std::min(e + 1, kNoiseEpochs);
    const double noise = noise_of(masked_share.subspan(e + 1 - recent, recent));
    margin = std::isfinite(noise) ? std::max(options.rise, 5 * noise) : options.rise;
    if (mask_ratio - lowest >= options.fall && now >= lowest + margin)
      return {static_cast<std::int64_t>(e) + 1,
              str("the mask tokens' share fell from ", fixed(mask_ratio, 2),
                  " (the mask ratio) to ", fixed(lowest, 3), " (epoch ", lowest_epoch,
                  ") and has come back to ", fixed(now, 3), ": they have become informative")};
  }
  if (mask_ratio - lowest < options.fall)
    return {{},
            str("the mask tokens' share has fallen to ", fixed(lowest, 3), ", not to ",
                fixed(mask_ratio - options.fall, 2),
                ": the decoder is not clearly past its untrained state")};
  return {{},
          str("the mask tokens' share is ", fixed(now, 3), ", its lowest was ", fixed(lowest, 3),
              " (epoch ", lowest_epoch, "); it must come back by ", fixed(margin, 3))};
}

}  // namespace sgmae
