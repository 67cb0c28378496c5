#include "sgmae/detect/matching.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <memory>

#include "sgmae/base/rng.h"
#include "sgmae/detect/boxes.h"

namespace sgmae {

namespace {

// Of objects first … first + count - 1 the overlap with every candidate: [count, candidates].
using Overlaps = std::function<at::Tensor(std::int64_t first, std::int64_t count)>;

at::Tensor match_parts(std::int64_t objects, std::int64_t candidates, const Overlaps& overlaps,
                       const at::TensorOptions& options, const Thresholds& thresholds) {
  constexpr std::int64_t at_once = 1 << 24;  // overlaps
  const std::int64_t step =
      std::max<std::int64_t>(1, at_once / std::max<std::int64_t>(candidates, 1));
  const auto for_each_part = [&](const auto& body) {
    for (std::int64_t first = 0; first < objects; first += step)
      body(first, overlaps(first, std::min(step, objects - first)));
  };
  at::Tensor best = at::full({candidates}, -1, options);
  at::Tensor object = at::zeros({candidates}, options.dtype(at::kLong));
  for_each_part([&](std::int64_t first, const at::Tensor& overlap) {
    const auto [of_part, where] = overlap.max(0);
    const at::Tensor better = of_part.gt(best);
    best = at::where(better, of_part, best);
    object = at::where(better, where.add(first), object);
  });
  at::Tensor result = object.masked_fill(best.lt(thresholds.high), undecided);
  result.masked_fill_(best.lt(thresholds.low), background);
  if (thresholds.best_of_each && candidates > 0)
    for_each_part([&](std::int64_t, const at::Tensor& overlap) {
      const at::Tensor most = std::get<0>(overlap.max(1, /*keepdim=*/true));
      result = at::where(overlap.eq(most).any(0), object, result);
    });
  return result;
}

}  // namespace

at::Tensor match(const at::Tensor& overlap, const Thresholds& thresholds) {
  return match_parts(
      overlap.size(0), overlap.size(1),
      [&](std::int64_t first, std::int64_t count) { return overlap.narrow(0, first, count); },
      overlap.options(), thresholds);
}

at::Tensor match(const at::Tensor& objects, const at::Tensor& candidates,
                 const Thresholds& thresholds) {
  return match_parts(
      objects.size(0), candidates.size(0),
      [&](std::int64_t first, std::int64_t count) {
        return overlap(objects.narrow(0, first, count), candidates);
      },
      candidates.options(), thresholds);
}

Draw random_draw(std::uint64_t seed, std::uint64_t epoch, std::int64_t image) {
  const auto rng =
      std::make_shared<Rng>(seed, epoch, static_cast<std::uint64_t>(image), Purpose::candidates);
  return [rng](std::int64_t n, std::int64_t count) {
    // The first `count` steps of a shuffle.
    std::vector<std::int64_t> order(static_cast<std::size_t>(n));
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int64_t>(i);
    at::Tensor chosen = at::empty({count}, at::kLong);
    for (std::int64_t i = 0; i < count; ++i) {
      std::swap(order[static_cast<std::size_t>(i)],
                order[static_cast<std::size_t>(i + rng->below(n - i))]);
      chosen.data_ptr<std::int64_t>()[i] = order[static_cast<std::size_t>(i)];
    }
    return chosen;
  };
}

Sample sample(const at::Tensor& matched, std::int64_t count, double share, const Draw& draw) {
  const auto choose = [&](const at::Tensor& all, std::int64_t most) {
    const std::int64_t n = all.size(0);
    return n <= most ? all : all.index_select(0, draw(n, most).to(all.device()));
  };
  const auto most = static_cast<std::int64_t>(static_cast<double>(count) * share);
  Sample chosen;
  chosen.positives = choose(matched.ge(0).nonzero().view({-1}), most);
  chosen.negatives =
      choose(matched.eq(background).nonzero().view({-1}), count - chosen.positives.size(0));
  return chosen;
}

}  // namespace sgmae
