#include "sgmae/mask/attmask.h"

#include <algorithm>

#include "sgmae/base/error.h"
#include "sgmae/mask/class_attention.h"
#include "sgmae/mask/guided_planner.h"
#include "sgmae/mask/plan_each.h"

namespace sgmae {

std::unique_ptr<MaskStrategyOptions> AttMaskOptions::clone() const {
  return std::make_unique<AttMaskOptions>(*this);
}

void AttMaskOptions::declare(Options& o) {
  o.add("attmask_target", target,
        {{"high", AttMaskTarget::high}, {"low", AttMaskTarget::low}, {"hint", AttMaskTarget::hint}},
        "patches to mask: those attended to most, least, or most but for a few that are shown");
  o.add("attmask_show", show,
        "with attmask_target hint: from this share of all patches, the most attended, so many are "
        "shown as this share of the masked");
  o.add("attmask_teacher", teacher,
        {{"ema", AttMaskTeacher::ema}, {"present", AttMaskTeacher::present}},
        "whose attention: of the moving average of the weights, or of the present weights");
  o.add("attmask_momentum", momentum,
        "of the moving average at first; grows to 1 by a half cosine over the run");
  o.add("attmask_start", start, "first epoch (from 0) of masks by attention");
}

void AttMaskOptions::check(bool) const {
  need(show >= 0 && show <= 1, str("attmask_show must be in 0 .. 1, but is ", show));
  need(momentum >= 0 && momentum <= 1,
       str("attmask_momentum must be in 0 .. 1, but is ", momentum));
  need(start >= 0, str("attmask_start must be an epoch from 0, but is ", start));
}

std::int64_t AttMaskOptions::random_epochs(std::int64_t epochs) const {
  return std::min(start, epochs);
}

MaskCost AttMaskOptions::cost(const MaeConfig& model, std::int64_t, std::int64_t epochs) const {
  return {.informed_epochs = epochs - random_epochs(epochs),
          .step = {.encoder = class_attention_share(model)},
          .held = teacher == AttMaskTeacher::ema ? count_parameters(model).all : 0};
}

std::unique_ptr<MaskStrategy> AttMaskOptions::make(const MaskContext& context) const {
  return std::make_unique<AttMask>(*this, context);
}

void show_hints(std::span<std::int64_t> order, std::int64_t n_visible, std::int64_t n_hints,
                std::int64_t n_top, Rng rng) {
  SGMAE_ASSERT(n_hints <= n_top && n_hints <= n_visible);
  const auto n = static_cast<std::int64_t>(order.size()), top = n - n_top;
  SGMAE_ASSERT(n_visible <= top);
  for (std::int64_t i = 0; i < n_hints; ++i)
    std::swap(order[top + i], order[top + i + rng.below(n_top - i)]);
  std::rotate(order.begin() + n_visible - n_hints, order.begin() + top,
              order.begin() + top + n_hints);
}

AttMask::AttMask(const AttMaskOptions& options, const MaskContext& context)
    : options_(options),
      context_(context),
      n_visible_(some_visible(context.model.config().n_patches(), context.mask_ratio)),
      attention_({"mask_attention"}) {
  if (options.target != AttMaskTarget::hint) return;
  const std::int64_t n = context.model.config().n_patches(), n_masked = n - n_visible_;
  const auto share = [&](std::int64_t of) {
    return static_cast<std::int64_t>(options.show * static_cast<double>(of));
  };
  n_hints_ = share(n_masked);
  n_top_ = std::min(share(n), n_masked);
  check(n_hints_ <= n_visible_, ExitCode::usage, "attmask_show ", options.show, " makes ", n_hints_,
        " hints of ", n_masked, " masked patches, but only ", n_visible_,
        " stay visible; choose a lower attmask_show or a lower mask_ratio");
}

const Mae& AttMask::looks() {
  if (options_.teacher == AttMaskTeacher::present) return context_.model;
  if (!teacher_) teacher_.emplace(context_.model);
  return teacher_->model();
}

MaskPlan AttMask::plan(const Batch& batch, std::int64_t epoch) {
  const std::int64_t n = context_.model.config().n_patches();
  if (epoch < options_.start) return random_plan(batch.index, n, n_visible_, context_.seed, epoch);
  const at::Tensor attention =
      class_attention_of_heads(looks(), batch.pixels).mean({1}).to(at::kCPU);
  const MaskPlan plan =
      informed_plan(attention, batch.index,
                    {.n_visible = n_visible_,
                     .target = options_.target == AttMaskTarget::low ? GuideTarget::background
                                                                     : GuideTarget::object,
                     .seed = context_.seed,
                     .epoch = epoch});
  std::int64_t* const orders = plan.order.data_ptr<std::int64_t>();
  for (std::int64_t i = 0; n_hints_ > 0 && i < batch.size(); ++i)
    show_hints({orders + i * n, static_cast<std::size_t>(n)}, n_visible_, n_hints_, n_top_,
               Rng(context_.seed, epoch, batch.index[i], Purpose::mask));
  const at::Tensor known = attention.nan_to_num(0);
  attention_.add(epoch, {known.gather(1, plan.masked()).mean().div(known.mean().clamp_min(1e-30))});
  return plan;
}

void AttMask::after_step(const StepDone& step) {
  if (!step.applied || !teacher_) return;
  const double progress = static_cast<double>(step.epoch) / static_cast<double>(context_.epochs);
  teacher_->update(context_.model, rising_momentum(options_.momentum, progress));
}

EpochStart AttMask::before_epoch(std::int64_t epoch) {
  return {.losses_do_not_compare = epoch == options_.start && epoch > 0};
}

// How much more the class token attends to masked patches than to any.
nlohmann::ordered_json AttMask::after_epoch(std::int64_t epoch) {
  return epoch < options_.start ? nlohmann::ordered_json::object() : attention_.means();
}

TaskState AttMask::state() const {
  return {{{"attention", attention_.state()}, {"teacher", teacher_.has_value()}},
          teacher_ ? teacher_->state() : NamedTensors()};
}

void AttMask::restore(const nlohmann::json& state, const TensorFile& file) {
  teacher_.reset();
  // A run whose masks were random so far says nothing of these.
  if (state.contains("attention")) attention_.restore(state["attention"], at::kCPU);
  if (!state.value("teacher", false)) return;
  teacher_.emplace(context_.model);
  teacher_->load(file);
}

nlohmann::json AttMask::description() const {
  return {{"start", options_.start}};
}

std::optional<std::int64_t> AttMask::guide_start() const {
  return options_.start < context_.epochs ? std::optional(options_.start) : std::nullopt;
}

std::string AttMask::guide_reason() const {
  return str("attmask_start is ", options_.start);
}

}  // namespace sgmae
