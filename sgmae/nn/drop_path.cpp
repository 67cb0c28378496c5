#include "sgmae/nn/drop_path.h"

#include <ATen/ops/ones.h>

#include "sgmae/base/rng.h"
#include "sgmae/nn/device.h"

namespace sgmae {

std::vector<DropPath> draw_drop_path(std::uint64_t seed, std::uint64_t epoch,
                                     const std::vector<std::int64_t>& index, std::int64_t depth,
                                     double rate, at::Device device) {
  if (rate == 0) return {};
  const auto batch = static_cast<std::int64_t>(index.size());
  const at::Tensor drawn = at::ones({depth, 2, batch}, at::kFloat);
  for (std::int64_t b = 0; b < batch; ++b) {
    Rng rng(seed, epoch, static_cast<std::uint64_t>(index[static_cast<std::size_t>(b)]),
            Purpose::drop_path);
    for (std::int64_t i = 1; i < depth; ++i) {  // the first block's rate is 0
      const double drop = rate * static_cast<double>(i) / static_cast<double>(depth - 1);
      for (std::int64_t branch = 0; branch < 2; ++branch)
        drawn.data_ptr<float>()[(i * 2 + branch) * batch + b] =
            rng.uniform() < drop ? 0.0f : static_cast<float>(1.0 / (1.0 - drop));
    }
  }
  const at::Tensor factors = send(drawn, device);
  std::vector<DropPath> plan(static_cast<std::size_t>(depth));
  for (std::int64_t i = 1; i < depth; ++i)
    plan[static_cast<std::size_t>(i)] = {factors[i][0], factors[i][1]};
  return plan;
}

}  // namespace sgmae
