#include "sgmae/contrast/contrastive_loss.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cross_entropy_loss.h>

#include "sgmae/nn/device.h"
#include "sgmae/parallel/process_group.h"

namespace sgmae {
namespace {

at::Tensor unit(const at::Tensor& x) {
  const at::Tensor y = x.to(at::kFloat);
  return y.div(y.norm(2, {1}, /*keepdim=*/true).clamp_min(1e-12));
}

}  // namespace

ContrastiveLoss contrastive_loss(const at::Tensor& queries, const at::Tensor& keys,
                                 double temperature) {
  const std::int64_t n = queries.size(0);
  const at::Tensor own = unit(keys.detach());
  const at::Tensor all =
      processes().size() == 1 ? own : send(at::cat(processes().gather(own.cpu())), own.device());
  const at::Tensor logits = unit(queries).mm(all.t()).div(temperature);
  const at::Tensor label = at::arange(n, logits.options().dtype(at::kLong).requires_grad(false))
                               .add(n * processes().rank());
  return {at::cross_entropy_loss(logits, label).mul(2 * temperature),
          logits.detach().argmax(1).eq(label).to(at::kFloat).mean()};
}

}  // namespace sgmae
