#include "sgmae/eval/linear_head.h"

#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/var_mean.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "sgmae/base/error.h"
#include "sgmae/base/rng.h"
#include "sgmae/parallel/process_group.h"

namespace sgmae {

LinearHead::LinearHead(std::int64_t dim, std::int64_t classes, std::uint64_t seed)
    : running_mean_(at::zeros({dim})),
      running_var_(at::ones({dim})),
      batches_(at::zeros({}, at::kLong)) {
  parameters_.push_back({"head.1.weight", at::empty({classes, dim}), at::zeros({classes, dim})});
  parameters_.push_back({"head.1.bias", at::zeros({classes}), at::zeros({classes})});
  flatten_gradients(parameters_);
  float* weight = parameters_[0].value.mutable_data_ptr<float>();
  Rng rng(seed, 0, 0, Purpose::initialise);
  for (std::int64_t i = 0; i < classes * dim; ++i)
    weight[i] = static_cast<float>(std::clamp(0.01 * rng.normal(), -2.0, 2.0));
}

at::Tensor LinearHead::scores(const at::Tensor& features) const {
  const at::Tensor normal = features.sub(running_mean_).div(running_var_.add(eps).sqrt());
  return at::addmm(parameters_[1].value, normal, parameters_[0].value.t());
}

double LinearHead::forward_backward(const at::Tensor& features,
                                    const std::vector<std::int64_t>& labels, double loss_scale) {
  const std::int64_t batch = features.size(0);
  SGMAE_ASSERT(batch == static_cast<std::int64_t>(labels.size()));
  check(batch >= 2, ExitCode::usage,
        "batch norm needs at least two images in a batch; raise --batch_size");
  auto [variance, mean] = at::var_mean(features, {0}, /*unbiased=*/false);
  auto count = static_cast<double>(batch);
  if (synchronised_ && processes().size() > 1) {
    const at::Tensor sums = at::stack({at::ones_like(mean), mean, variance.add(mean.square())})
                                .to(at::kDouble)
                                .mul(count);
    processes().sum(sums);
    count = sums[0][0].item<double>();
    mean = sums[1].div(count).to(at::kFloat);
    variance = sums[2].div(count).sub(sums[1].div(count).square()).to(at::kFloat);
  }
  const double unbiased = count / (count - 1);
  seen_.push_back(at::stack({mean, variance.mul(unbiased)}));

  const at::Tensor normal = features.sub(mean).div(variance.add(eps).sqrt());
  const at::Tensor logits = at::addmm(parameters_[1].value, normal, parameters_[0].value.t());
  const at::Tensor log_share = at::log_softmax(logits, 1);
  at::Tensor slope = log_share.exp();  // of each image's loss, by logits: softmax - one-hot
  double loss = 0;
  for (std::int64_t i = 0; i < batch; ++i) {
    const std::int64_t at = i * classes() + labels[static_cast<std::size_t>(i)];
    loss -= log_share.const_data_ptr<float>()[at];
    slope.mutable_data_ptr<float>()[at] -= 1;
  }
  slope.mul_(loss_scale / static_cast<double>(batch));
  parameters_[0].grad.add_(at::mm(slope.t(), normal));
  parameters_[1].grad.add_(slope.sum({0}));
  return loss / static_cast<double>(batch);
}

void LinearHead::move_statistics() {
  if (seen_.empty()) return;
  const at::Tensor own = at::stack(seen_);
  const std::vector<at::Tensor> all =
      synchronised_ ? std::vector<at::Tensor>{own} : processes().gather(own);
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(seen_.size()); ++i)
    for (const at::Tensor& of_process : all) {
      running_mean_.mul_(1 - momentum).add_(of_process[i][0], momentum);
      running_var_.mul_(1 - momentum).add_(of_process[i][1], momentum);
      batches_.add_(1);
    }
  seen_.clear();
}

void LinearHead::set_statistics(const at::Tensor& mean, const at::Tensor& variance) {
  running_mean_.copy_(mean);
  running_var_.copy_(variance);
}

NamedTensors LinearHead::tensors() const {
  return {{"head.0.running_mean", running_mean_},
          {"head.0.running_var", running_var_},
          {"head.0.num_batches_tracked", batches_},
          {parameters_[0].name, parameters_[0].value},
          {parameters_[1].name, parameters_[1].value}};
}

void LinearHead::load(const TensorFile& file) {
  for (auto& [name, tensor] : tensors()) {
    const at::Tensor* stored = file.find(name);
    check(stored && stored->sizes() == tensor.sizes(), ExitCode::checkpoint, "no tensor '", name,
          "' of the head's shape; it belongs to another encoder or other classes");
    at::Tensor(tensor).copy_(*stored);
  }
}

}  // namespace sgmae
