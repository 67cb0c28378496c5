#include "sgmae/mask/clmae.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <utility>

#include "sgmae/base/error.h"
#include "sgmae/checkpoint/write_model.h"
#include "sgmae/mask/plan_each.h"
#include "sgmae/nn/patches.h"
#include "sgmae/train/checkpoint.h"

namespace sgmae {
namespace {

MaskingModule make_module(const MaskContext& context) {
  MaskingModule module(context.model.config(), context.seed + 1);
  module.move_to(context.model.encoder().device());
  module.set_precision(context.model.precision());
  return module;
}

}  // namespace

std::unique_ptr<MaskStrategyOptions> ClMaeOptions::clone() const {
  return std::make_unique<ClMaeOptions>(*this);
}

void ClMaeOptions::declare(Options& o) {
  o.add("clmae_gauss", gauss, "weight of the penalty of scores that are neither 0 nor 1");
  o.add("clmae_kl", kl, "weight of the penalty of mean scores other than the visible share");
  o.add("clmae_diversity", diversity, "weight of the penalty of like scores for several images");
}

void ClMaeOptions::check(bool) const {
  need(gauss >= 0 && kl >= 0 && diversity >= 0,
       str("clmae_gauss, clmae_kl and clmae_diversity must not be negative, but are ", gauss, ", ",
           kl, " and ", diversity));
}

MaskCost ClMaeOptions::cost(const MaeConfig& model, std::int64_t, std::int64_t epochs) const {
  const double module = static_cast<double>(MaskingModule::depth) /
                        static_cast<double>(model.encoder.depth);  // in passes of the encoder
  return {.informed_epochs = epochs,
          // The module learns; the model that is held passes gradients on.
          .step = {.encoder = 3 * module + 2, .decoder = 2},
          .traced = {.encoder = module},
          .whole_steps = true,
          .trained = MaskingModule::count(model)};
}

std::unique_ptr<MaskStrategy> ClMaeOptions::make(const MaskContext& context) const {
  return std::make_unique<ClMae>(*this, context);
}

double curriculum_factor(std::int64_t epoch, std::int64_t epochs) {
  const std::int64_t done = 2 * epoch < epochs ? epoch : epoch + 1;
  return 1 - 2 * static_cast<double>(done) / static_cast<double>(epochs);
}

ClMae::ClMae(const ClMaeOptions& options, const MaskContext& context)
    : options_(options),
      context_(context),
      module_(make_module(context)),
      frozen_(context.model.config(), std::nullopt),
      learner_(network_learner("clmae", module_.parameters(), context)),
      told_(
          {"mask_module_reconstruction", "mask_gauss", "mask_kl", "mask_diversity", "mask_kept"}) {
  some_visible(context.model.config().n_patches(), context.mask_ratio);  // or refuses
  learner_.changed = [this] { module_.parameters_changed(); };
  for (Parameter& parameter : frozen_.parameters()) parameter.grad = at::Tensor();
  follow_model();
  frozen_.set_precision(context.model.precision());
  frozen_.checkpoint_activations(context.model.encoder().checkpoints_activations());
}

void ClMae::follow_model() {
  const std::vector<Parameter>& present = context_.model.parameters();
  for (std::size_t i = 0; i < present.size(); ++i) frozen_.parameters()[i].value = present[i].value;
  frozen_.parameters_changed();
}

MaskPlan ClMae::plan(const Batch& batch, std::int64_t epoch) {
  epoch_ = epoch;
  const MaeConfig& config = context_.model.config();
  const std::int64_t n = config.n_patches();
  Taps taps({"encoder.embed"}, context_.model.encoder().device());
  context_.model.encode(batch.pixels, &taps, /*taps_only=*/true);
  planned_ = {};
  const at::Tensor keep =
      module_.forward(taps["encoder.embed"].narrow(1, 1, n), planned_).cpu().contiguous();
  const float* const all = keep.const_data_ptr<float>();
  return highest_hidden(
      batch.index, context_, epoch, [&](std::int64_t i, Rng&, std::span<float> scores) {
        std::transform(all + i * n, all + (i + 1) * n, scores.begin(), [](float z) { return -z; });
      });
}

void ClMae::learn(const MaskFeedback& went) {
  const MaeConfig& config = context_.model.config();
  const at::Device device = context_.model.encoder().device();
  const std::int64_t batch = went.batch.size(), n = config.n_patches();
  SGMAE_ASSERT(planned_.keep.defined() && planned_.keep.size(0) == batch);
  MaskingModule::Trace planned = std::exchange(planned_, {});
  const at::Tensor& keep = planned.keep;
  const at::Tensor pixels = send(went.batch.pixels, device);
  follow_model();

  MaeTrace trace;
  trace.encoder.token_weights = keep;
  const MaskPlan all = whole_image(batch, n, device);
  const at::Tensor pred =
      frozen_.forward(pixels, all, trace).pred.view({-1, config.patch_values()});
  at::Tensor dpred;  // of the mean over all patches
  const MaeLoss loss = reconstruction_loss(pixels, pred, all.order, config.patch_size,
                                           config.norm_pix_loss, went.loss_scale, &dpred);
  const at::Tensor hidden = keep.neg().add(1), together = hidden.sum().clamp_min(1e-6);
  const at::Tensor weight = hidden.div(together);
  const at::Tensor mean = loss.per_patch.mul(weight).sum();
  const double factor = curriculum_factor(epoch_, context_.epochs);
  const at::Tensor rows =
      weight.mul(factor * static_cast<double>(batch * n)).view({-1, 1}).to(dpred.scalar_type());
  frozen_.backward(dpred.mul(rows), {}, trace);
  // z stands in the weights of the losses, too.
  at::Tensor dkeep = loss.per_patch.sub(mean).div(together).mul(-factor * went.loss_scale);
  dkeep.add_(trace.encoder.dtoken_weights);

  KeepPenalties penalties;
  {
    const at::AutoGradMode record(true);
    const at::Tensor z = keep.detach().clone().requires_grad_();
    penalties = keep_penalties(z, 1 - context_.mask_ratio);
    const at::Tensor sum = penalties.gauss.mul(options_.gauss)
                               .add(penalties.kl, options_.kl)
                               .add(penalties.diversity, options_.diversity);
    torch::autograd::backward({sum.mul(went.loss_scale)}, {});
    dkeep.add_(z.grad());
  }
  module_.backward(dkeep, planned);
  told_.add(epoch_, {mean, penalties.gauss.detach(), penalties.kl.detach(),
                     penalties.diversity.detach(), keep.mean()});
}

TaskState ClMae::state() const {
  return {{{"told", told_.state()}}, values_of(module_.parameters())};
}

void ClMae::restore(const nlohmann::json& state, const TensorFile& file) {
  load_values(file, module_.parameters());
  module_.parameters_changed();
  told_.restore(state.at("told"), context_.model.encoder().device());
}

}  // namespace sgmae
