#include "sgmae/detect/matching.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <memory>

#include "sgmae/base/rng.h"

namespace sgmae {

at::Tensor match(const at::Tensor& overlap, const Thresholds& thresholds) {
  if (overlap.size(0) == 0)
    return at::full({overlap.size(1)}, background, overlap.options().dtype(at::kLong));
  const auto [best, object] = overlap.max(0);
  at::Tensor result = object.masked_fill(best.lt(thresholds.high), undecided);
  result.masked_fill_(best.lt(thresholds.low), background);
  if (thresholds.best_of_each) {
    const at::Tensor best_of_object = std::get<0>(overlap.max(1, /*keepdim=*/true));
    result = at::where(overlap.eq(best_of_object).any(0), object, result);
  }
  return result;
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
