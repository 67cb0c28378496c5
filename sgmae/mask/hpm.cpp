#include "sgmae/mask/hpm.h"

#include <algorithm>

#include "sgmae/base/error.h"
#include "sgmae/checkpoint/write_model.h"
#include "sgmae/mask/informed.h"
#include "sgmae/mask/mask_network.h"
#include "sgmae/mask/plan_each.h"
#include "sgmae/train/checkpoint.h"

namespace sgmae {
namespace {

LossPredictor make_predictor(const MaskContext& context) {
  LossPredictor predictor(context.model.config(), context.seed + 1);
  predictor.move_to(context.model.encoder().device());
  predictor.set_precision(context.model.precision());
  return predictor;
}

// Share of the pairs whose losses differ that the scores put in the right order, [].
at::Tensor ordered_right(const at::Tensor& scores, const at::Tensor& losses) {
  const at::Tensor harder = losses.unsqueeze(2).gt(losses.unsqueeze(1));
  const at::Tensor said = scores.unsqueeze(2).gt(scores.unsqueeze(1));
  return harder.logical_and(said).sum().div(harder.sum().clamp_min(1)).to(at::kFloat);
}

}  // namespace

std::unique_ptr<MaskStrategyOptions> HpmOptions::clone() const {
  return std::make_unique<HpmOptions>(*this);
}

void HpmOptions::declare(Options& o) {
  o.add("hpm_loss", target,
        {{"relative", ScoreTarget::relative}, {"absolute", ScoreTarget::absolute}},
        "what the loss predictor learns: which of two patches is harder, or losses themselves");
  o.add("hpm_loss_weight", loss_weight, "of the predictor's loss beside the reconstruction's");
  o.add("hpm_hardest", hardest,
        "share of the masked patches that the predictor chooses, at the end of the run; grows "
        "linearly from 0");
  o.add("hpm_momentum", momentum, "of the teacher's moving average, at first");
  o.add("hpm_momentum_end", momentum_end, "the same after hpm_momentum_epochs");
  o.add("hpm_momentum_epochs", momentum_epochs, "epochs over which it grows");
}

void HpmOptions::check(bool) const {
  need(loss_weight >= 0, str("hpm_loss_weight must not be negative, but is ", loss_weight));
  need(hardest >= 0 && hardest <= 1, str("hpm_hardest must be in 0 .. 1, but is ", hardest));
  need(momentum >= 0 && momentum <= 1 && momentum_end >= 0 && momentum_end <= 1,
       str("hpm_momentum and hpm_momentum_end must be in 0 .. 1, but are ", momentum, " and ",
           momentum_end));
  need(momentum_epochs > 0, str("hpm_momentum_epochs must be positive, but is ", momentum_epochs));
}

MaskCost HpmOptions::cost(const MaeConfig& model, std::int64_t, std::int64_t epochs) const {
  const std::int64_t dim = model.decoder.dim, values = model.patch_values();
  const std::int64_t predictor =
      count_block_parameters(model.decoder, model.decoder_mlp()) + 2 * dim + (dim + 1) * values;
  return {.informed_epochs = epochs,
          .step = {.encoder = 1, .decoder = 1 + 3},  // the teachers look, the predictor learns
          .traced = {.decoder = 1},
          .trained = predictor,
          .held = count_parameters(model).all + predictor};
}

std::unique_ptr<MaskStrategy> HpmOptions::make(const MaskContext& context) const {
  return std::make_unique<Hpm>(*this, context);
}

void hardest_order(std::span<const float> scores, std::int64_t n_visible, std::int64_t n_hardest,
                   Rng rng, std::span<std::int64_t> order) {
  const auto n = static_cast<std::int64_t>(scores.size());
  SGMAE_ASSERT(n_visible + n_hardest <= n);
  ranked_order(scores, rng, order);
  // The hardest stand last, and stay; which of the others are visible is drawn.
  const std::vector<std::int64_t> easier(order.begin(), order.end() - n_hardest);
  const std::vector<std::int64_t> drawn = rng.permutation(n - n_hardest);
  for (std::size_t i = 0; i < easier.size(); ++i)
    order[i] = easier[static_cast<std::size_t>(drawn[i])];
}

Hpm::Hpm(const HpmOptions& options, const MaskContext& context)
    : options_(options),
      context_(context),
      n_visible_(some_visible(context.model.config().n_patches(), context.mask_ratio)),
      predictor_(make_predictor(context)),
      teacher_(context.model),
      predictor_teacher_(predictor_),
      learner_(network_learner("hpm", predictor_.parameters(), context)),
      told_({"mask_predictor_loss", "mask_ordered_right"}) {
  learner_.changed = [this] { predictor_.parameters_changed(); };
}

at::Tensor Hpm::scores(const at::Tensor& pixels) const {
  const std::int64_t images = pixels.size(0), n = context_.model.config().n_patches();
  const at::Tensor input = teacher_.model().decoder_input(pixels, whole_image(images, n));
  return predictor_teacher_.model().forward(input, images, n, nullptr);
}

std::int64_t Hpm::hardest_count(std::int64_t epoch) const {
  const double masked = static_cast<double>(context_.model.config().n_patches() - n_visible_);
  return static_cast<std::int64_t>(masked * options_.hardest * static_cast<double>(epoch + 1) /
                                   static_cast<double>(context_.epochs));
}

MaskPlan Hpm::plan(const Batch& batch, std::int64_t epoch) {
  epoch_ = epoch;
  const std::int64_t n = context_.model.config().n_patches(), n_hardest = hardest_count(epoch);
  if (n_hardest == 0) return random_plan(batch.index, n, n_visible_, context_.seed, epoch);
  const at::Tensor scored = scores(batch.pixels).cpu().contiguous();
  const float* const all = scored.const_data_ptr<float>();
  return plan_each(batch.size(), n, n_visible_, [&](std::int64_t i, std::span<std::int64_t> order) {
    hardest_order({all + i * n, order.size()}, n_visible_, n_hardest,
                  mask_stream(context_, epoch, batch.index[i]), order);
  });
}

DecoderInputReader Hpm::decoder_input_reader(const MaskPlan& plan, double loss_scale) {
  const std::int64_t images = plan.order.size(0), n_masked = plan.n_masked();
  return [this, images, n_masked, loss_scale](const at::Tensor& input, const MaeLoss& loss) {
    LossPredictor::Trace trace;
    const at::Tensor scores = predictor_.forward(input, images, n_masked, &trace);
    const ScoreLoss judged = options_.target == ScoreTarget::relative
                                 ? relative_score_loss(scores, loss.per_patch)
                                 : absolute_score_loss(scores, loss.per_patch);
    told_.add(epoch_, {judged.value, ordered_right(scores, loss.per_patch)});
    return predictor_.backward(judged.dscores.mul(loss_scale * options_.loss_weight), trace);
  };
}

void Hpm::after_step(const StepDone& step) {
  if (!step.applied) return;
  const double grown = std::min(
      static_cast<double>(step.epoch) / static_cast<double>(options_.momentum_epochs), 1.0);
  const double momentum = options_.momentum + grown * (options_.momentum_end - options_.momentum);
  teacher_.update(context_.model, momentum);
  predictor_teacher_.update(predictor_, momentum);
}

nlohmann::ordered_json Hpm::after_epoch(std::int64_t epoch) {
  nlohmann::ordered_json entries = told_.means();
  entries["mask_hardest"] = static_cast<double>(hardest_count(epoch)) /
                            static_cast<double>(context_.model.config().n_patches());
  return entries;
}

TaskState Hpm::state() const {
  NamedTensors tensors = values_of(predictor_.parameters());
  for (const NamedTensors& more : {teacher_.state(), predictor_teacher_.state()})
    tensors.insert(tensors.end(), more.begin(), more.end());
  return {{{"told", told_.state()}}, std::move(tensors)};
}

void Hpm::restore(const nlohmann::json& state, const TensorFile& file) {
  teacher_.load(file);
  predictor_teacher_.load(file);
  load_values(file, predictor_.parameters());
  predictor_.parameters_changed();
  told_.restore(state.at("told"), context_.model.encoder().device());
}

nlohmann::json Hpm::description() const {
  return nlohmann::json::object();
}

}  // namespace sgmae
