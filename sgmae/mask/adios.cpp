#include "sgmae/mask/adios.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <numbers>

#include "sgmae/checkpoint/write_model.h"
#include "sgmae/mask/plan_each.h"
#include "sgmae/nn/patches.h"
#include "sgmae/train/checkpoint.h"

namespace sgmae {
namespace {

constexpr std::int64_t width = 128, depth = 4;  // of the occluder's convolutions

}  // namespace

std::unique_ptr<MaskStrategyOptions> AdiosOptions::clone() const {
  return std::make_unique<AdiosOptions>(*this);
}

void AdiosOptions::declare(Options& o) {
  o.add("adios_masks", masks, "soft masks into which the occluder divides an image");
  o.add("adios_sparsity", sparsity, "weight of the penalty of masks that hide nothing or all");
  o.add("adios_lr_ratio", lr_ratio, "learning rate of the occluder over the model's");
}

void AdiosOptions::check(bool) const {
  need(masks >= 2 && masks <= 1024, str("adios_masks must be in 2 .. 1024, but is ", masks));
  need(sparsity >= 0, str("adios_sparsity must not be negative, but is ", sparsity));
  need(lr_ratio > 0, str("adios_lr_ratio must be positive, but is ", lr_ratio));
}

MaskCost AdiosOptions::cost(const MaeConfig& model, std::int64_t, std::int64_t epochs) const {
  const std::int64_t weights =
      model.patch_values() * width + depth * 9 * width * width + width * masks;
  const std::int64_t norms_and_bias = 2 * width * (1 + depth) + masks;
  // It plans with the masks, then makes them again and learns.
  const double macs = static_cast<double>(4 * model.n_patches() * weights);
  return {
      .informed_epochs = epochs, .step = {.flop = 2 * macs}, .trained = weights + norms_and_bias};
}

std::unique_ptr<MaskStrategy> AdiosOptions::make(const MaskContext& context) const {
  return std::make_unique<Adios>(*this, context);
}

Occluder::Occluder(const MaeConfig& config, std::int64_t masks, std::uint64_t seed,
                   at::Device device)
    : patch_size_(config.patch_size), rows_(config.grid_height()), columns_(config.grid_width()) {
  parameters_.reserve(3 * (depth + 1) + 2);
  Initialiser init(parameters_, seed);
  LayerMaker layer(init);
  embed_ = layer.convolution("occluder.embed", config.patch_values(), width, 1, /*norm=*/true,
                             Fill::relu);
  for (std::int64_t i = 0; i < depth; ++i)
    layers_.push_back(
        layer.convolution(str("occluder.layers.", i), width, width, 3, /*norm=*/true, Fill::relu));
  head_ = layer.convolution("occluder.head", width, masks, 1, /*norm=*/false, Fill::plain);
  move_parameters(parameters_, device);
}

at::Tensor Occluder::masks(const at::Tensor& pixels) const {
  const at::Tensor patches =
      patchify(send(pixels, parameters_.front().value.device()), patch_size_);
  at::Tensor x =
      patches.view({pixels.size(0), rows_, columns_, patches.size(2)}).permute({0, 3, 1, 2});
  x = at::relu(embed_.forward(x, at::kFloat));
  for (const Convolution& layer : layers_) x = at::relu(layer.forward(x, at::kFloat));
  return head_.forward(x, at::kFloat).softmax(1).flatten(2);
}

at::Tensor area_penalty(const at::Tensor& masks) {
  // 1e-3: the gradient of a mask that vanishes stays finite.
  return masks.mean({2}).mul(std::numbers::pi).sin().add(1e-3).reciprocal().mean();
}

Adios::Adios(const AdiosOptions& options, const MaskContext& context)
    : options_(options),
      context_(context),
      occluder_(context.model.config(), options.masks, context.seed + 1,
                context.model.encoder().device()),
      learner_(network_learner("adios", occluder_.parameters(), context, options.lr_ratio)),
      told_({"mask_area_penalty", "mask_decided"}) {
  some_visible(context.model.config().n_patches(), context.mask_ratio);  // or refuses
}

// Which of its soft masks an image gets is the first draw of its stream.
MaskPlan Adios::plan(const Batch& batch, std::int64_t epoch) {
  epoch_ = epoch;
  const at::NoGradGuard no_grad;
  const at::Tensor masks = occluder_.masks(batch.pixels).cpu().contiguous();
  const std::int64_t n = masks.size(2);
  const float* const all = masks.const_data_ptr<float>();
  return highest_hidden(batch.index, context_, epoch,
                        [&](std::int64_t i, Rng& rng, std::span<float> scores) {
                          const std::int64_t chosen = rng.below(options_.masks);
                          std::copy_n(all + (i * options_.masks + chosen) * n, n, scores.begin());
                        });
}

void Adios::learn(const MaskFeedback& went) {
  const at::Tensor gradient = visibility_gradient(went, context_.model.config().patch_size);
  std::vector<std::int64_t> chosen;
  for (const std::int64_t index : went.batch.index)
    chosen.push_back(mask_stream(context_, epoch_, index).below(options_.masks));
  const at::Tensor rows = send(at::tensor(chosen, at::kLong), gradient.device());

  const at::AutoGradMode record(true);
  const at::Tensor masks = occluder_.masks(went.batch.pixels);
  const at::Tensor hidden =
      masks.gather(1, rows.view({-1, 1, 1}).expand({-1, 1, masks.size(2)})).squeeze(1);
  const at::Tensor penalty = area_penalty(masks);
  // A patch is visible as far as its mask does not hide it, v = 1 - m, so that the gradient of the
  // loss in m is -gradient; the occluder maximises the loss.
  const at::Tensor loss =
      hidden.mul(gradient).sum().add(penalty, went.loss_scale * options_.sparsity);
  torch::autograd::backward({loss}, {});
  told_.add(epoch_, {penalty.detach(), masks.detach().amax({1}).mean()});
}

TaskState Adios::state() const {
  return {{{"told", told_.state()}}, values_of(occluder_.parameters())};
}

void Adios::restore(const nlohmann::json& state, const TensorFile& file) {
  load_values(file, occluder_.parameters());
  told_.restore(state.at("told"), context_.model.encoder().device());
}

}  // namespace sgmae
