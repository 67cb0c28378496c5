#include "sgmae/detect/roi_axis.h"

#include <algorithm>
#include <cmath>

namespace sgmae {

Axis axis_of(float low, float high, std::int64_t places, const RoiAlign& options) {
  const auto scale = static_cast<float>(options.scale);
  const auto cells = static_cast<float>(options.size);
  const float offset = options.aligned ? 0.5f : 0.f;
  const float start = low * scale - offset;
  float extent = high * scale - offset - start;
  if (!options.aligned) extent = std::max(extent, 1.f);
  const float cell = extent / cells;
  // A box without extent, or none at all for a number that is not finite, has no samples.
  const auto samples = options.samples > 0
                           ? options.samples
                           : static_cast<std::int64_t>(std::ceil(std::clamp(cell, 0.f, 1e6f)));
  struct Term {
    std::int64_t cell, place;
    float weight;
  };
  std::vector<Term> terms;
  for (std::int64_t i = 0; i < options.size; ++i)
    for (std::int64_t k = 0; k < samples; ++k) {
      float at = start + static_cast<float>(i) * cell +
                 (static_cast<float>(k) + 0.5f) * cell / static_cast<float>(samples);
      if (!(at >= -1 && at <= static_cast<float>(places))) continue;
      at = std::max(at, 0.f);
      auto before = static_cast<std::int64_t>(at);
      float beyond = at - static_cast<float>(before);
      if (before >= places - 1) before = places - 1, beyond = 0;
      const float share = 1.f / static_cast<float>(samples);
      terms.push_back({i, before, (1 - beyond) * share});
      if (beyond > 0) terms.push_back({i, before + 1, beyond * share});
    }
  Axis result;
  if (terms.empty()) return result;
  const auto by_place = [](const Term& a, const Term& b) { return a.place < b.place; };
  const auto [lowest, highest] = std::minmax_element(terms.begin(), terms.end(), by_place);
  result.first = lowest->place;
  result.count = highest->place - lowest->place + 1;
  result.weight.assign(static_cast<std::size_t>(options.size * result.count), 0);
  for (const Term& term : terms)
    result.weight[static_cast<std::size_t>(term.cell * result.count + term.place - result.first)] +=
        term.weight;
  return result;
}

}  // namespace sgmae
