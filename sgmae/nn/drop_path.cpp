#include "sgmae/nn/drop_path.h"

#include <ATen/ops/empty.h>

#include "sgmae/base/rng.h"

namespace sgmae {

std::vector<DropPath> draw_drop_path(std::uint64_t seed, std::uint64_t epoch,
                                     const std::vector<std::int64_t>& index, std::int64_t depth,
                                     double rate) {
  if (rate == 0) return {};
  std::vector<DropPath> plan(static_cast<std::size_t>(depth));
  const auto batch = static_cast<std::int64_t>(index.size());
  for (std::size_t i = 1; i < plan.size(); ++i)  // the first block's rate is 0
    plan[i] = {at::empty({batch}, at::kFloat), at::empty({batch}, at::kFloat)};
  for (std::int64_t b = 0; b < batch; ++b) {
    Rng rng(seed, epoch, static_cast<std::uint64_t>(index[static_cast<std::size_t>(b)]),
            Purpose::drop_path);
    for (std::size_t i = 1; i < plan.size(); ++i) {
      const double drop = rate * static_cast<double>(i) / static_cast<double>(depth - 1);
      for (at::Tensor* branch : {&plan[i].attention, &plan[i].mlp})
        branch->data_ptr<float>()[b] =
            rng.uniform() < drop ? 0.0f : static_cast<float>(1.0 / (1.0 - drop));
    }
  }
  return plan;
}

}  // namespace sgmae
