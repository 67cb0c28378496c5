#include "sgmae/mask/amt.h"

#include <ATen/ops/amax.h>
#include <ATen/ops/amin.h>
#include <ATen/ops/scalar_tensor.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "sgmae/base/clock.h"
#include "sgmae/base/error.h"
#include "sgmae/mask/class_attention.h"
#include "sgmae/mask/plan_each.h"

namespace sgmae {
namespace fs = std::filesystem;

at::Tensor scaled_class_attention(const Mae& model, const at::Tensor& pixels) {
  const at::Tensor rows = class_attention_of_heads(model, pixels);
  const at::Tensor low = rows.amin({2}, true), high = rows.amax({2}, true);
  return rows.sub(low).div(high.sub(low).clamp_min(1e-30)).mean({1});
}

void weighted_order(std::span<const float> weights, std::int64_t n_visible, std::int64_t n_thrown,
                    Rng rng, std::span<std::int64_t> order) {
  const std::size_t n = weights.size();
  // Sorting by -log(u) / weight draws without putting back (Efraimidis & Spirakis 2006).
  std::vector<double> key(n);
  for (std::size_t i = 0; i < n; ++i)
    key[i] = -std::log(1.0 - rng.uniform()) / std::max(static_cast<double>(weights[i]), 1e-6);
  std::vector<std::int64_t> drawn(n);
  std::iota(drawn.begin(), drawn.end(), std::int64_t{0});
  std::stable_sort(drawn.begin(), drawn.end(),
                   [&](std::int64_t a, std::int64_t b) { return key[a] < key[b]; });
  const auto masked = drawn.begin() + (static_cast<std::ptrdiff_t>(n) - n_visible - n_thrown);
  const auto thrown = masked + n_thrown;
  auto to = std::copy(thrown, drawn.end(), order.begin());
  to = std::copy(drawn.begin(), masked, to);
  std::copy(masked, thrown, to);
}

std::unique_ptr<MaskStrategyOptions> AmtOptions::clone() const {
  return std::make_unique<AmtOptions>(*this);
}

void AmtOptions::declare(Options& o) {
  o.add(
      "amt_start", start,
      "first epoch (from 0) of masks by attention; -1: a tenth of the run (published: 40 of 400)");
  o.add("amt_refresh_epochs", refresh,
        "epochs between new attention maps; -1: a tenth of the run (40 of 400); 0: made once");
  o.add("amt_throw_ratio", throw_ratio,
        "fraction of patches to throw, beside mask_ratio (published: 0.4, with mask_ratio 0.45)");
}

void AmtOptions::check(bool) const {
  need(start >= -1, str("amt_start must be an epoch from 0, or -1, but is ", start));
  need(refresh >= -1, str("amt_refresh_epochs must be at least -1, but is ", refresh));
  need(throw_ratio >= 0 && throw_ratio < 1,
       str("amt_throw_ratio must be in 0 .. 1, but is ", throw_ratio));
}

// Patches are thrown from the first epoch on.
std::int64_t AmtOptions::random_epochs(std::int64_t epochs) const {
  return throw_ratio > 0 ? 0 : std::min(start_of(epochs), epochs);
}

MaskCost AmtOptions::cost(const MaeConfig& model, std::int64_t, std::int64_t epochs) const {
  return {.map_passes = map_passes(epochs, start_of(epochs), refresh_of(epochs)),
          .map_pass = {.encoder = class_attention_share(model)}};
}

std::unique_ptr<MaskStrategy> AmtOptions::make(const MaskContext& context) const {
  return std::make_unique<Amt>(*this, context);
}

Amt::Amt(const AmtOptions& options, const MaskContext& context)
    : context_(context),
      start_(options.start_of(context.epochs)),
      refresh_(options.refresh_of(context.epochs)),
      counts_(patch_counts(context.model.config().n_patches(), context.mask_ratio,
                           options.throw_ratio)),
      maps_(context, {.tap = class_attention_tap(context.model.config()) + " of the class token"},
            str("the class token's attention in block ", context.model.config().encoder.depth - 1),
            /*kept=*/true,
            [this](const Mae& model, const fs::path& path, const MapInfo& info) {
              const double begun = seconds_now();
              const std::int64_t images = write_maps(
                  [&](const Batch& batch) { return scaled_class_attention(model, batch.pixels); },
                  training_images_whole(context_), path, info);
              return str("attention maps of ", images, " images in ",
                         fixed(seconds_now() - begun, 1), " s");
            }),
      attention_({"mask_attention"}) {
  const std::int64_t n = context.model.config().n_patches();
  sgmae::check(counts_.visible > 0 && counts_.visible + counts_.thrown < n, ExitCode::usage,
               "masks would leave ", counts_.visible, " of ", n, " patches visible and throw ",
               counts_.thrown,
               "; choose a mask_ratio and an amt_throw_ratio that leave at least one patch visible "
               "and one masked");
}

MaskPlan Amt::plan(const Batch& batch, std::int64_t epoch) {
  const std::int64_t n = context_.model.config().n_patches(), images = batch.size();
  if (!maps_.maps() || epoch < start_) {
    MaskPlan plan = random_plan(batch.index, n, counts_.visible, context_.seed, epoch);
    plan.n_thrown = counts_.thrown;
    return plan;
  }
  const at::Tensor weights = sample_maps(*maps_.maps(), batch);
  const float* const all = weights.const_data_ptr<float>();
  MaskPlan plan =
      plan_each(images, n, counts_.visible, [&](std::int64_t i, std::span<std::int64_t> order) {
        const Rng rng(context_.seed, epoch, batch.index[i], Purpose::mask);
        const std::span<const float> row(all + i * n, order.size());
        if (std::isfinite(row[0]))
          weighted_order(row, counts_.visible, counts_.thrown, rng, order);
        else  // could not be read when maps were made
          random_order(rng, order);
      });
  plan.n_thrown = counts_.thrown;
  const double masked = weights.gather(1, plan.masked()).nan_to_num(0).mean().item<double>();
  const double usual = weights.nan_to_num(0).mean().item<double>();
  attention_.add(epoch, {at::scalar_tensor(masked / std::max(usual, 1e-30))});
  return plan;
}

EpochStart Amt::before_epoch(std::int64_t epoch) {
  if (!maps_.due(epoch, start_, refresh_)) return {};
  return {.save_now = true, .losses_do_not_compare = true, .news = {maps_.make(epoch)}};
}

// How much more the class token attends to masked patches than to any.
nlohmann::ordered_json Amt::after_epoch(std::int64_t epoch) {
  if (epoch < start_) return nlohmann::ordered_json::object();
  nlohmann::ordered_json entries{{"guide_start", start_}};
  entries.update(attention_.means());
  return entries;
}

TaskState Amt::state() const {
  nlohmann::json state{{"attention", attention_.state()}};
  maps_.save(state);
  return {state, {}};
}

void Amt::restore(const nlohmann::json& state, const TensorFile&) {
  maps_.restore(state);
  // A run whose masks were random so far says nothing of these.
  if (state.contains("attention")) attention_.restore(state["attention"], at::kCPU);
}

bool Amt::needs_checkpoint(const CheckpointName& name) const {
  return maps_.needs_checkpoint(name);
}

void Amt::checkpoints_left(const std::vector<CheckpointName>& left) {
  maps_.checkpoints_left(left);
}

nlohmann::json Amt::description() const {
  return {{"start", start_}};
}

std::optional<std::int64_t> Amt::guide_start() const {
  return maps_.epoch() ? std::optional(start_) : std::nullopt;
}

std::string Amt::guide_reason() const {
  return maps_.epoch() ? str("amt_start is ", start_) : "";
}

}  // namespace sgmae
