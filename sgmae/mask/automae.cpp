#include "sgmae/mask/automae.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/leaky_relu.h>
#include <ATen/ops/linalg_matrix_norm.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softmax.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sgmae/base/error.h"
#include "sgmae/checkpoint/write_model.h"
#include "sgmae/mask/class_attention.h"
#include "sgmae/mask/plan_each.h"
#include "sgmae/train/checkpoint.h"

namespace sgmae {

std::unique_ptr<MaskStrategyOptions> AutoMaeOptions::clone() const {
  return std::make_unique<AutoMaeOptions>(*this);
}

void AutoMaeOptions::declare(Options& o) {
  o.add("automae_factor", factor,
        "how much more likely chosen patches are masked; 0: as random, 1: always");
  o.add("automae_adversarial", adversarial,
        "weight of the discriminator's judgement beside the reconstruction loss");
}

void AutoMaeOptions::check(bool) const {
  need(factor >= 0, str("automae_factor must not be negative, but is ", factor));
  need(adversarial >= 0, str("automae_adversarial must not be negative, but is ", adversarial));
}

MaskCost AutoMaeOptions::cost(const MaeConfig& model, std::int64_t, std::int64_t epochs) const {
  const std::int64_t heads = model.encoder.heads, channels = std::max<std::int64_t>(heads / 2, 1);
  const std::int64_t generator = 9 * channels * (heads + 1) + channels;
  const std::int64_t discriminator = 9 * (16 + 16 * 32 + 32);
  // Convolutions over the patches: the generator's twice and back, the discriminator's over two
  // kinds of mask and back, and once for the generator.
  const std::int64_t macs = model.n_patches() * (4 * generator + 9 * discriminator / 2);
  return {
      .informed_epochs = epochs,
      .step = {.encoder = class_attention_share(model), .flop = 2.0 * static_cast<double>(macs)},
      .trained = generator + discriminator};
}

std::unique_ptr<MaskStrategy> AutoMaeOptions::make(const MaskContext& context) const {
  return std::make_unique<AutoMae>(*this, context);
}

MaskGenerator::MaskGenerator(std::int64_t heads, std::uint64_t seed, at::Device device) {
  const std::int64_t channels = std::max<std::int64_t>(heads / 2, 1);
  parameters_.reserve(3);
  Initialiser init(parameters_, seed);
  LayerMaker layer(init);
  first_ = layer.convolution("generator.0", heads, channels, 3, /*norm=*/false, Fill::plain);
  // A bias would be lost in the softmax.
  second_.weight = init.uniform("generator.1.weight", {1, channels, 3, 3},
                                1 / std::sqrt(9.0 * static_cast<double>(channels)));
  move_parameters(parameters_, device);
}

at::Tensor MaskGenerator::scores(const at::Tensor& attention) const {
  return second_.forward(at::relu(first_.forward(attention, at::kFloat)), at::kFloat)
      .flatten(1)
      .log_softmax(1);
}

MaskDiscriminator::MaskDiscriminator(std::uint64_t seed, at::Device device) {
  parameters_.reserve(3);
  Initialiser init(parameters_, seed);
  const auto add = [&](const char* name, std::int64_t in, std::int64_t out) {
    init.uniform(name, {out, in, 3, 3}, 1 / std::sqrt(9.0 * static_cast<double>(in)));
  };
  add("discriminator.0", 1, 16);
  add("discriminator.1", 16, 32);
  add("discriminator.2", 32, 1);
  move_parameters(parameters_, device);
}

at::Tensor MaskDiscriminator::verdicts(const at::Tensor& shares, bool learning) {
  const auto convolved = [&](const at::Tensor& x, std::size_t i, std::int64_t stride) {
    const at::Tensor w = learning ? leaf(parameters_[i]) : parameters_[i].value;
    // These matrices are so small that their norm can be had as it is.
    return at::conv2d(x, w.div(at::linalg_matrix_norm(w.flatten(1), 2)), {}, stride, 1);
  };
  const at::Tensor x = at::leaky_relu(convolved(shares, 0, 1), 0.2);
  return at::sigmoid(convolved(at::leaky_relu(convolved(x, 1, 2), 0.2), 2, 1));
}

AutoMaeDraws draw_automae(Rng& rng, std::int64_t rows, std::int64_t columns) {
  const std::int64_t n = rows * columns;
  const auto drawn = [&](auto draw) {
    std::vector<float> values(static_cast<std::size_t>(n));
    for (float& value : values) value = static_cast<float>(draw());
    return values;
  };
  AutoMaeDraws draws;
  draws.gumbel = drawn([&] { return -std::log(1e-20 - std::log(1.0 - rng.uniform())); });
  draws.rectangle = drawn([&] { return 0.1 * rng.uniform(); });
  const double area = rng.uniform(10.0 / 64, 40.0 / 64) * static_cast<double>(n);
  const std::int64_t shortest = std::min<std::int64_t>(2, columns);
  const std::int64_t longest = std::max(columns - 2, shortest);
  const std::int64_t width = shortest + rng.below(longest - shortest + 1);
  const auto height = std::min<std::int64_t>(
      rows, static_cast<std::int64_t>(std::ceil(area / static_cast<double>(width))));
  const std::int64_t left = rng.below(columns - width + 1), top = rng.below(rows - height + 1);
  for (std::int64_t row = top; row < top + height; ++row)
    for (std::int64_t column = left; column < left + width; ++column)
      draws.rectangle[static_cast<std::size_t>(row * columns + column)] += 0.5f;
  draws.key = drawn([&] { return rng.uniform(); });
  return draws;
}

AutoMae::AutoMae(const AutoMaeOptions& options, const MaskContext& context)
    : options_(options),
      context_(context),
      generator_(context.model.config().encoder.heads, context.seed + 1,
                 context.model.encoder().device()),
      discriminator_(context.seed + 2, context.model.encoder().device()),
      generator_learner_(network_learner("automae_generator", generator_.parameters(), context)),
      discriminator_learner_(
          network_learner("automae_discriminator", discriminator_.parameters(), context)),
      told_({"mask_adversarial_loss", "mask_discriminator_loss"}) {
  some_visible(context.model.config().n_patches(), context.mask_ratio);  // or refuses
}

at::Tensor AutoMae::attention(const at::Tensor& pixels) const {
  const MaeConfig& config = context_.model.config();
  const std::string tap = str("encoder.", config.encoder.depth - 1, ".attention");
  Taps taps({tap}, context_.model.encoder().device());
  context_.model.encode(pixels, &taps, /*taps_only=*/true);
  const std::int64_t n = config.n_patches();
  return taps[tap]
      .select(2, 0)
      .narrow(2, 1, n)
      .mul(static_cast<double>(n))
      .view({pixels.size(0), config.encoder.heads, config.grid_height(), config.grid_width()});
}

MaskPlan AutoMae::plan(const Batch& batch, std::int64_t epoch) {
  epoch_ = epoch;
  const at::NoGradGuard no_grad;
  attention_ = attention(batch.pixels);
  const at::Tensor scores = generator_.scores(attention_).cpu().contiguous();
  const MaeConfig& config = context_.model.config();
  const std::int64_t n = config.n_patches(), n_chosen = visible_count(n, context_.mask_ratio);
  const float* const all = scores.const_data_ptr<float>();
  return highest_hidden(
      batch.index, context_, epoch, [&](std::int64_t i, Rng& rng, std::span<float> keys) {
        const AutoMaeDraws draws = draw_automae(rng, config.grid_height(), config.grid_width());
        std::vector<float> drawn(all + i * n, all + (i + 1) * n);
        for (std::size_t k = 0; k < drawn.size(); ++k) drawn[k] += draws.gumbel[k];
        std::vector<std::size_t> best(drawn.size());
        std::iota(best.begin(), best.end(), std::size_t{0});
        std::stable_sort(best.begin(), best.end(),
                         [&](std::size_t a, std::size_t b) { return drawn[a] > drawn[b]; });
        std::copy(draws.key.begin(), draws.key.end(), keys.begin());
        for (std::int64_t k = 0; k < n_chosen; ++k)
          keys[best[static_cast<std::size_t>(k)]] += static_cast<float>(options_.factor);
      });
}

void AutoMae::learn(const MaskFeedback& went) {
  const MaeConfig& config = context_.model.config();
  const std::int64_t batch = went.batch.size(), n = config.n_patches();
  SGMAE_ASSERT(attention_.defined() && attention_.size(0) == batch);
  at::Tensor gumbel = at::empty({batch, n}), rectangles = at::empty({batch, n});
  for (std::int64_t i = 0; i < batch; ++i) {
    Rng rng = mask_stream(context_, epoch_, went.batch.index[static_cast<std::size_t>(i)]);
    const AutoMaeDraws draws = draw_automae(rng, config.grid_height(), config.grid_width());
    std::copy(draws.gumbel.begin(), draws.gumbel.end(), gumbel.data_ptr<float>() + i * n);
    std::copy(draws.rectangle.begin(), draws.rectangle.end(), rectangles.data_ptr<float>() + i * n);
  }
  const at::Device device = attention_.device();
  const at::Tensor gradient = visibility_gradient(went, config.patch_size);
  // In units of an even share.
  const auto as_maps = [&](const at::Tensor& shares) {
    return shares.mul(static_cast<double>(n))
        .view({batch, 1, config.grid_height(), config.grid_width()});
  };

  const at::AutoGradMode record(true);
  const at::Tensor shares = generator_.scores(attention_).add(send(gumbel, device)).softmax(1);
  const at::Tensor adversarial =
      discriminator_.verdicts(as_maps(shares), /*learning=*/false).sub(1).square().mean();
  // The encoder reads a visible patch times its key, key = U + factor * (1 for the chosen), whose
  // gradient goes straight through the choice.
  const at::Tensor loss = shares.mul(gradient)
                              .sum()
                              .mul(options_.factor)
                              .add(adversarial, went.loss_scale * options_.adversarial);
  torch::autograd::backward({loss}, {});

  const at::Tensor real = as_maps(send(rectangles, device).softmax(1));
  const at::Tensor judged =
      discriminator_.verdicts(real, /*learning=*/true)
          .sub(1)
          .square()
          .mean()
          .add(
              discriminator_.verdicts(as_maps(shares.detach()), /*learning=*/true).square().mean());
  torch::autograd::backward({judged.mul(went.loss_scale)}, {});
  told_.add(epoch_, {adversarial.detach(), judged.detach()});
  attention_ = at::Tensor();
}

TaskState AutoMae::state() const {
  NamedTensors tensors = values_of(generator_.parameters());
  for (const auto& more : values_of(discriminator_.parameters())) tensors.push_back(more);
  return {{{"told", told_.state()}}, std::move(tensors)};
}

void AutoMae::restore(const nlohmann::json& state, const TensorFile& file) {
  load_values(file, generator_.parameters());
  load_values(file, discriminator_.parameters());
  told_.restore(state.at("told"), context_.model.encoder().device());
}

}  // namespace sgmae
