#include "sgmae/mask/semmae.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/scalar_tensor.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <vector>

#include "sgmae/base/clock.h"
#include "sgmae/base/error.h"
#include "sgmae/mask/informed.h"
#include "sgmae/mask/plan_each.h"
#include "sgmae/ncut/graph.h"
#include "sgmae/ncut/recursive.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

// Parts are to be told apart, wherever they lie: of all features the block's output less the
// image's mean depends least on position.
const GuideOptions kFeatures{.features = GuideFeatures::block_out, .center = GuideCenter::mean};

std::string parts_of(const SemMaeOptions& options, const MaskContext& context) {
  return str(options.parts, " parts of ", guide_tap(context.model.config(), kFeatures));
}

}  // namespace

std::unique_ptr<MaskStrategyOptions> SemMaeOptions::clone() const {
  return std::make_unique<SemMaeOptions>(*this);
}

void SemMaeOptions::declare(Options& o) {
  o.add("semmae_parts", parts, "parts into which normalised cuts divide an image, at most");
  o.add("semmae_part_file", part_file,
        "the part of every patch, in place of cuts: .npy or .safetensors, [images, rows, columns], "
        "whole numbers");
  o.add(
      "semmae_start", start,
      "first epoch (from 0) of masks by parts; -1: an eighth of the run, with semmae_part_file 0");
  o.add("semmae_refresh_epochs", refresh, "epochs between new cuts; 0: made once");
}

void SemMaeOptions::check(bool) const {
  // Labels are kept as fp16.
  need(parts >= 2 && parts <= 2048, str("semmae_parts must be in 2 .. 2048, but is ", parts));
  need(start >= -1, str("semmae_start must be an epoch from 0, or -1, but is ", start));
  need(refresh >= 0, str("semmae_refresh_epochs must not be negative, but is ", refresh));
}

std::int64_t SemMaeOptions::start_of(std::int64_t epochs) const {
  return start >= 0 ? start : part_file.empty() ? epochs / 8 : 0;
}

std::int64_t SemMaeOptions::random_epochs(std::int64_t epochs) const {
  return std::min(start_of(epochs), epochs);
}

MaskCost SemMaeOptions::cost(const MaeConfig&, std::int64_t, std::int64_t epochs) const {
  if (!part_file.empty()) return {};
  return {.map_passes = map_passes(epochs, start_of(epochs), refresh), .map_pass = {.encoder = 1}};
}

std::unique_ptr<MaskStrategy> SemMaeOptions::make(const MaskContext& context) const {
  return std::make_unique<SemMae>(*this, context);
}

at::Tensor find_parts(const Mae& model, const at::Tensor& pixels, const GuideOptions& guide,
                      std::int64_t parts) {
  const at::Tensor graphs =
      similarity(center_features(guide_features(model, pixels, guide), guide.center)).to(at::kCPU);
  const std::int64_t images = graphs.size(0), n = graphs.size(1);
  at::Tensor labels = at::empty({images, n}, at::kFloat);
  float* const to = labels.data_ptr<float>();
  at::parallel_for(0, images, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const Clustering found = recursive_ncut(graphs[i], parts);
      std::copy(found.label.begin(), found.label.end(), to + i * n);
    }
  });
  return labels;
}

void hide_parts(std::span<const float> label, double mask_ratio, double intra, Rng& rng,
                std::span<float> hidden) {
  const auto n = static_cast<std::int64_t>(label.size());
  const auto masked_of = [&](std::int64_t patches) {
    return std::llround(mask_ratio * static_cast<double>(patches));
  };
  std::map<float, std::vector<std::int64_t>> patches;  // of each part, in the order they are drawn
  for (const std::int64_t patch : rng.permutation(n)) patches[label[patch]].push_back(patch);
  std::vector<const std::vector<std::int64_t>*> parts;
  for (const auto& [unused, part] : patches) parts.push_back(&part);

  std::fill(hidden.begin(), hidden.end(), 0.0f);
  std::int64_t left = masked_of(n);
  for (const std::int64_t drawn : rng.permutation(static_cast<std::int64_t>(parts.size()))) {
    const std::vector<std::int64_t>& part = *parts[drawn];
    const auto count = static_cast<std::int64_t>(part.size());
    const std::int64_t share = masked_of(count), whole = std::min(count, left);
    left -= whole;
    const std::int64_t masked =
        std::llround(intra * static_cast<double>(share) + (1 - intra) * static_cast<double>(whole));
    for (std::int64_t i = 0; i < masked; ++i) hidden[part[i]] = 1;
  }
}

SemMae::SemMae(const SemMaeOptions& options, const MaskContext& context)
    : context_(context),
      start_(options.start_of(context.epochs)),
      refresh_(options.refresh),
      n_visible_(some_visible(context.model.config().n_patches(), context.mask_ratio)),
      made_(context, {.tap = parts_of(options, context), .center = kFeatures.center},
            parts_of(options, context), /*kept=*/true,
            [this, parts = options.parts](const Mae& model, const fs::path& path,
                                          const MapInfo& info) {
              const double begun = seconds_now();
              const std::int64_t images = write_maps(
                  [&](const Batch& batch) {
                    return find_parts(model, batch.pixels, kFeatures, parts);
                  },
                  training_images_whole(context_), path, info);
              return str("parts of ", images, " images in ", fixed(seconds_now() - begun, 1), " s");
            }),
      told_({"mask_parts"}) {
  if (!options.part_file.empty())
    given_.emplace(options.part_file, "semmae_part_file", GivenKind::parts, context);
}

double SemMae::intra(std::int64_t epoch) const {
  const double progress =
      static_cast<double>(epoch - start_ + 1) / static_cast<double>(context_.epochs - start_);
  return 1 - progress * progress;
}

bool SemMae::has_parts(std::int64_t epoch) const {
  return epoch >= start_ && (given_ || made_.maps());
}

MaskPlan SemMae::plan(const Batch& batch, std::int64_t epoch) {
  const MaeConfig& model = context_.model.config();
  const std::int64_t n = model.n_patches();
  if (!has_parts(epoch)) return random_plan(batch.index, n, n_visible_, context_.seed, epoch);
  const at::Tensor labels =
      given_ ? sample_maps([&](std::int64_t index) { return given_->map(index); },
                           model.grid_height(), model.grid_width(), batch, MapSampling::nearest)
             : sample_maps(*made_.maps(), batch, MapSampling::nearest);
  const float* const all = labels.const_data_ptr<float>();
  std::vector<std::size_t> parts(static_cast<std::size_t>(batch.size()));
  MaskPlan plan =
      plan_each(batch.size(), n, n_visible_, [&](std::int64_t i, std::span<std::int64_t> order) {
        const std::span<const float> label(all + i * n, order.size());
        Rng rng(context_.seed, epoch, batch.index[i], Purpose::mask);
        if (!std::isfinite(label[0])) return random_order(rng, order);  // could not be read then
        parts[i] = std::set<float>(label.begin(), label.end()).size();
        std::vector<float> hidden(order.size());
        hide_parts(label, context_.mask_ratio, intra(epoch), rng, hidden);
        ranked_order(hidden, rng, order);
      });
  const auto seen = std::accumulate(parts.begin(), parts.end(), std::size_t{0});
  told_.add(epoch,
            {at::scalar_tensor(static_cast<double>(seen) /
                               static_cast<double>(std::max<std::size_t>(parts.size(), 1)))});
  return plan;
}

EpochStart SemMae::before_epoch(std::int64_t epoch) {
  if (given_) return {.losses_do_not_compare = epoch == start_ && epoch > 0};
  if (!made_.due(epoch, start_, refresh_)) return {};
  return {.save_now = true, .losses_do_not_compare = true, .news = {made_.make(epoch)}};
}

// Parts that a crop shows, on average.
nlohmann::ordered_json SemMae::after_epoch(std::int64_t epoch) {
  if (epoch < start_) return nlohmann::ordered_json::object();
  nlohmann::ordered_json entries = told_.means();
  entries["mask_intra"] = intra(epoch);
  return entries;
}

TaskState SemMae::state() const {
  nlohmann::json state{{"told", told_.state()}};
  if (given_)
    given_->save(state);
  else
    made_.save(state);
  return {state, {}};
}

void SemMae::restore(const nlohmann::json& state, const TensorFile&) {
  if (given_)
    given_->check_same(state);
  else
    made_.restore(state);
  // A run whose masks were random so far says nothing of these.
  if (state.contains("told")) told_.restore(state["told"], at::kCPU);
}

bool SemMae::needs_checkpoint(const CheckpointName& name) const {
  return made_.needs_checkpoint(name);
}

void SemMae::checkpoints_left(const std::vector<CheckpointName>& left) {
  made_.checkpoints_left(left);
}

nlohmann::json SemMae::description() const {
  return {{"start", start_}};
}

std::optional<std::int64_t> SemMae::guide_start() const {
  const bool begins = given_ ? start_ < context_.epochs : made_.epoch().has_value();
  return begins ? std::optional(start_) : std::nullopt;
}

std::string SemMae::guide_reason() const {
  return guide_start() ? str("semmae_start is ", start_) : "";
}

}  // namespace sgmae
