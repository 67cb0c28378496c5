#include "sgmae/mask/masking_module.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/pdist.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <numbers>

#include "sgmae/base/error.h"
#include "sgmae/nn/initialiser.h"
#include "sgmae/train/estimate.h"

namespace sgmae {

std::int64_t MaskingModule::count(const MaeConfig& config) {
  const std::int64_t dim = config.encoder.dim;
  return dim + count_block_parameters({dim, depth, heads}, config.encoder_mlp()) + 2 * dim +
         (dim + 1) * config.n_patches();
}

MaskingModule::MaskingModule(const MaeConfig& config, std::uint64_t seed)
    : layer_norm_eps_(config.layer_norm_eps) {
  const std::int64_t dim = config.encoder.dim;
  check(dim % heads == 0, ExitCode::usage, "the masking module of clmae has ", heads,
        " heads, which do not divide dim ", dim, "; choose a dim that is a multiple of ", heads);
  parameters_.reserve(1 + 12 * depth + 4);
  Initialiser init(parameters_, seed);
  cls_token_ = init.normal("masking.cls_token", {1, 1, dim}, 0.02);
  blocks_.blocks = init.blocks("masking.blocks.", {dim, depth, heads}, config.encoder_mlp());
  blocks_.norm = init.layer_norm("masking.norm", dim);
  head_ = init.linear("masking.head", dim, config.n_patches());
  flatten_gradients(parameters_);
  parameters_changed();
}

void MaskingModule::set_precision(Precision precision) {
  type_ = precision == Precision::bf16 ? at::kBFloat16 : at::kFloat;
  parameters_changed();
}

void MaskingModule::parameters_changed() {
  blocks_.prepare(type_);
  head_.prepare(type_);
}

void MaskingModule::move_to(at::Device device) {
  move_parameters(parameters_, device);
  parameters_changed();
}

at::Tensor MaskingModule::forward(const at::Tensor& tokens, Trace& trace) const {
  const at::NoGradGuard no_grad;
  const std::int64_t batch = tokens.size(0), n = tokens.size(1), dim = tokens.size(2);
  trace.shape = {batch, n + 1, dim, layer_norm_eps_, type_};
  // The class token stands last, where Decoder looks; attention does not mind.
  const at::Tensor x =
      at::cat({tokens, cls_token_->value.expand({batch, 1, dim})}, 1).view({-1, dim});
  const at::Tensor cls =
      blocks_.forward(trace.shape, x, /*n_last=*/1, /*checkpointed=*/false, &trace.blocks);
  trace.keep = head_.forward(cls).to(at::kFloat).sigmoid();
  return trace.keep;
}

void MaskingModule::backward(const at::Tensor& dkeep, Trace& trace) {
  const at::NoGradGuard no_grad;
  const at::Tensor d = dkeep.mul(trace.keep).mul(trace.keep.neg().add(1)).to(type_);
  head_.add_gradients(d, trace.blocks.norm.y);
  const at::Tensor dx = blocks_.backward(trace.shape, head_.input_gradient(d), trace.blocks, {});
  cls_token_->grad.add_(dx.view({trace.shape.batch, -1, trace.shape.dim})
                            .narrow(1, trace.shape.tokens - 1, 1)
                            .sum(0, /*keepdim=*/true));
}

KeepPenalties keep_penalties(const at::Tensor& keep, double visible_share) {
  constexpr double deviation = 0.12;
  KeepPenalties penalties;
  penalties.gauss = keep.sub(0.5)
                        .square()
                        .mul(-1 / (2 * deviation * deviation))
                        .exp()
                        .mean()
                        .mul(deviation * std::sqrt(2 * std::numbers::pi));
  const at::Tensor kept = keep.mean({1}).clamp(1e-6, 1 - 1e-6), hidden = kept.neg().add(1);
  penalties.kl = kept.mul(kept.div(visible_share).log())
                     .add(hidden.mul(hidden.div(1 - visible_share).log()))
                     .mean();
  penalties.diversity =
      keep.size(0) > 1 ? at::pdist(keep).mul(-0.1).exp().mean() : at::zeros({}, keep.options());
  return penalties;
}

}  // namespace sgmae
