#include "sgmae/train/guidance.h"

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <set>
#include <utility>

#include "sgmae/analysis/guide_start.h"
#include "sgmae/base/log.h"
#include "sgmae/train/checkpoint.h"
#include "sgmae/train/signals.h"

namespace sgmae {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
namespace fs = std::filesystem;

constexpr std::int64_t position_sample_size = 4096;
constexpr std::int64_t probe_batch = 64;

json shares_json(const GroupShares& shares) {
  return {{"visible", shares.visible}, {"masked", shares.masked}};
}

GroupShares shares_from(const json& j) {
  return {j.at("visible").get<std::vector<double>>(), j.at("masked").get<std::vector<double>>()};
}

SelfGuidedOptions strategy_options(const PretrainOptions& o) {
  return {.target = o.guide_target,
          .hints = o.hints,
          .mask_ratio = o.mask_ratio,
          .epochs = o.epochs,
          .seed = o.seed};
}

GuideOptions guide_options(const PretrainOptions& o) {
  GuideOptions guide = o.guide;
  guide.mask_ratio = o.mask_ratio;
  guide.seed = o.seed;
  return guide;
}

std::string maps_name(std::int64_t epoch) {
  return str("relevance-", epoch, ".safetensors");
}

std::optional<std::int64_t> parse_maps_name(const std::string& file) {
  long long epoch = 0;
  if (std::sscanf(file.c_str(), "relevance-%lld", &epoch) != 1 || file != maps_name(epoch))
    return std::nullopt;
  return epoch;
}

}  // namespace

Guidance::Guidance(const PretrainOptions& options, const Source& source,
                   const LoaderOptions& loader, const Mae& model, const RunFolder& folder)
    : options_(options), source_(source), loader_(loader), model_(model), folder_(folder) {
  make_strategy();
}

bool Guidance::is_online() const {
  return start_ && options_.mask_source == MaskSource::online;
}

void Guidance::make_strategy() {
  if (options_.mask_strategy == MaskStrategyKind::random) {
    strategy_ = std::make_unique<RandomMask>(model_.config().n_patches(), options_.mask_ratio,
                                             options_.seed);
    return;
  }
  guide_tap(model_.config(), guide_options(options_));  // refuses a layer that does not exist
  auto strategy = std::make_unique<SelfGuidedMask>(model_.config(), strategy_options(options_));
  self_guided_ = strategy.get();
  strategy_ = std::move(strategy);
}

NextBatch Guidance::whole_images(std::vector<std::int64_t> subset) const {
  LoaderOptions options = loader_;
  options.fit = Fit::squash;
  options.shuffle = false;
  options.drop_last = false;
  options.subset = std::move(subset);
  auto loader = std::make_shared<Loader>(source_, options);
  loader->start_epoch(0);
  return [loader](Batch& batch) {
    if (stop_requested()) throw StopRequested();
    return loader->next(batch);
  };
}

bool Guidance::begin_epoch(std::int64_t epoch) {
  if (!self_guided_) return false;
  const auto start_before = start_, maps_before = maps_epoch_;
  if (!start_) decide_start(epoch);
  if (!start_) return false;
  const std::int64_t refresh = options_.mask_refresh_epochs;
  const bool due =
      !maps_epoch_ || (refresh > 0 && *maps_epoch_ < epoch && (epoch - *start_) % refresh == 0);
  if (!due) return false;
  try {
    maps_epoch_ = epoch;
    make_maps(epoch, model_);
  } catch (...) {  // interrupted: the epoch begins anew when the run goes on
    start_ = start_before;
    maps_epoch_ = maps_before;
    throw;
  }
  return true;
}

void Guidance::decide_start(std::int64_t epoch) {
  const GuideStart wanted = guide_start(options_);
  const GuideStartVerdict verdict = guide_start_verdict(masked_share(), options_.mask_ratio);
  if (wanted.automatic ? !verdict.epoch : epoch < wanted.epoch) return;
  const std::string automatic =
      options_.probe_images > 0 ? "; the automatic rule says: " + verdict.reason : std::string();
  reason_ = wanted.automatic ? verdict.reason
            : options_.guide_start.empty()
                ? str("that is one eighth of the run", automatic)
                : str("guide_start is ", options_.guide_start, automatic);
  info("guidance began at epoch ", epoch, " because ", reason_);
  start_ = epoch;
}

fs::path Guidance::maps_path() const {
  return folder_.maps() / maps_name(*maps_epoch_);
}

MapInfo Guidance::maps_info(const std::string& hash) const {
  return {.images = source_.size(),
          .rows = model_.config().grid_height(),
          .columns = model_.config().grid_width(),
          .model_hash = hash,
          .epoch = *maps_epoch_,
          .tap = guide_tap(model_.config(), options_.guide),
          .center = options_.guide.center,
          .object = options_.guide.object};
}

// Position means and, where masks are stored, maps; from `model`, which has finished `epoch`
// epochs.
void Guidance::make_maps(std::int64_t epoch, const Mae& model) {
  const GuideOptions guide = guide_options(options_);
  maps_hash_ = model_hash(model);
  if (guide.center == GuideCenter::position) {
    const auto sample = position_sample(source_.size(), position_sample_size, options_.seed, epoch);
    position_mean_ = estimate_position_mean(model, guide, whole_images(sample));
  }
  if (options_.mask_source == MaskSource::stored) {
    const auto progress = [&](std::int64_t done) {
      draw_status(str("relevance maps: ", done, "/", source_.size(), " images"));
    };
    const RelevancePassStats stats =
        make_relevance_maps(model, guide, position_mean_, whole_images({}), maps_path(),
                            maps_info(maps_hash_), progress);
    info("relevance maps of ", stats.images, " images in ", fixed(stats.seconds, 1),
         " s: position bias ", fixed(stats.position_bias, 4), " (", fixed(stats.bias_by_chance, 4),
         " by chance), object share ", fixed(stats.object_share, 2), ", ", stats.degenerate,
         " without guidance, ", stats.exact_solves, " left to the exact solver");
    pass_ = {{"position_bias", stats.position_bias},
             {"object_share", stats.object_share},
             {"degenerate", stats.degenerate},
             {"seconds", stats.seconds}};
  }
  open_maps();
}

// A checkpoint's masks come from the newest maps made up to its epoch. Later ones are left of a run
// that was rolled back, and would be made again.
void Guidance::prune_maps(const std::vector<std::int64_t>& epochs) const {
  std::set<std::int64_t> made;
  std::error_code ignored;  // a folder that is not there has no maps
  for (const auto& entry : fs::directory_iterator(folder_.maps(), ignored))
    if (const auto epoch = parse_maps_name(entry.path().filename().string())) made.insert(*epoch);
  std::set<std::int64_t> needed;
  if (maps_epoch_) needed.insert(*maps_epoch_);
  for (const std::int64_t epoch : epochs)
    if (const auto later = made.upper_bound(epoch); later != made.begin())
      needed.insert(*std::prev(later));
  for (const std::int64_t epoch : made)
    if (needed.count(epoch) == 0) fs::remove(folder_.maps() / maps_name(epoch));
}

void Guidance::open_maps() {
  if (options_.mask_source == MaskSource::online) {
    self_guided_->start(*start_, model_, guide_options(options_), position_mean_);
    return;
  }
  const auto maps = std::make_shared<const RelevanceMaps>(maps_path());
  check_maps(maps->info(), maps_info(maps_hash_), maps_path());
  self_guided_->start(*start_, maps);
}

bool Guidance::changes_masks(std::int64_t epoch) const {
  return start_ && epoch >= *start_ &&
         (epoch == maps_epoch_ || options_.guide_target == GuideTarget::alternate);
}

MaskPlan Guidance::plan(const Batch& batch, std::int64_t epoch) {
  return strategy_->plan(batch, epoch);
}

void Guidance::end_epoch(std::int64_t epoch) {
  if (is_online()) report_online();
  if (options_.probe_images > 0) measure();
  // A start_epoch > 0 leaves a gap, which the first measurement fills.
  while (!history_.empty() && static_cast<std::int64_t>(history_.size()) <= epoch)
    history_.push_back(history_.back());
}

// A stored pass reports when it is made; this is its counterpart, over the epoch's batches.
void Guidance::report_online() {
  const PositionBias bias = std::exchange(self_guided_->online_bias(), {});
  const bool followed = !pass_.is_null() && pass_.at("follows_position").get<bool>();
  if (bias.follows_position() && !followed) warn_of_position(bias, options_.guide.object);
  pass_ = {{"position_bias", bias.value()},
           {"object_share", bias.object_share()},
           {"degenerate", bias.degenerate()},
           {"follows_position", bias.follows_position()}};
}

void Guidance::measure() {
  Rng rng(options_.seed, 0, 0, Purpose::probe);
  std::vector<std::int64_t> chosen = rng.permutation(source_.size());
  chosen.resize(static_cast<std::size_t>(std::min(options_.probe_images, source_.size())));
  std::sort(chosen.begin(), chosen.end());

  LoaderOptions options = loader_;
  options.fit = Fit::squash;
  options.shuffle = false;
  options.drop_last = false;
  options.batch_size = probe_batch;
  options.subset = std::move(chosen);
  Loader loader(source_, options);
  loader.start_epoch(0);
  RandomMask masks(model_.config().n_patches(), options_.mask_ratio, options_.seed);
  Batch batch;
  history_.push_back(measure_exploitation(model_, [&](at::Tensor& pixels, MaskPlan& plan) {
    if (!loader.next(batch)) return false;
    pixels = batch.pixels;
    plan = masks.plan(batch, 0);
    return true;
  }));
}

std::vector<double> Guidance::masked_share() const {
  std::vector<double> share;
  for (const Exploitation& entry : history_) share.push_back(entry.rollout.masked.back());
  return share;
}

ordered_json Guidance::log_entries() const {
  ordered_json entries = ordered_json::object();
  if (!history_.empty()) {
    const Exploitation& last = history_.back();
    entries["mask_R_V"] = last.rollout.visible.back();
    entries["mask_R_M"] = last.rollout.masked.back();
    entries["mask_R_V_literal"] = last.literal.visible.back();
    entries["mask_R_M_literal"] = last.literal.masked.back();
    entries["mask_R_M_layers"] = last.rollout.masked;
    entries["mask_R_V_layers_literal"] = last.literal.visible;
    entries["mask_R_M_layers_literal"] = last.literal.masked;
    const GuideStartVerdict verdict = guide_start_verdict(masked_share(), options_.mask_ratio);
    if (verdict.epoch) entries["guide_auto_epoch"] = *verdict.epoch;
  }
  if (start_) entries["guide_start"] = *start_;
  if (maps_epoch_ && !pass_.is_null()) {
    entries["mask_position_bias"] = pass_["position_bias"];
    entries["mask_object_share"] = pass_["object_share"];
    entries["mask_degenerate"] = pass_["degenerate"];
  }
  return entries;
}

json Guidance::description() const {
  if (!self_guided_) return nullptr;
  json described;
  // The options' own names and words, so that a reader can set them again.
  PretrainOptions copy = options_;
  Options declared;
  copy.declare(declared);
  for (const OptionInfo& option : declared.all())
    if (option.section == "mask") described[option.name] = json::parse(option.print());
  if (start_) described["start"] = *start_;
  return described;
}

json Guidance::state() const {
  json history = json::array();
  for (const Exploitation& entry : history_)
    history.push_back({{"rollout", shares_json(entry.rollout)},
                       {"literal", shares_json(entry.literal)},
                       {"images", entry.images}});
  json state{{"history", history}, {"reason", reason_}, {"maps_hash", maps_hash_}, {"pass", pass_}};
  if (start_) state["start"] = *start_;
  if (maps_epoch_) state["maps_epoch"] = *maps_epoch_;
  if (is_online()) state["online_bias"] = self_guided_->online_bias().state();
  return state;
}

void Guidance::restore(const json& state, const at::Tensor& position_mean) {
  history_.clear();
  for (const json& entry : state.at("history"))
    history_.push_back({.rollout = shares_from(entry.at("rollout")),
                        .literal = shares_from(entry.at("literal")),
                        .images = entry.at("images")});
  reason_ = state.at("reason");
  maps_hash_ = state.at("maps_hash");
  pass_ = state.at("pass");
  start_ = state.contains("start") ? std::optional<std::int64_t>(state["start"]) : std::nullopt;
  maps_epoch_ = state.contains("maps_epoch") ? std::optional<std::int64_t>(state["maps_epoch"])
                                             : std::nullopt;
  position_mean_ = position_mean;
  make_strategy();  // one that has not started
  if (is_online()) self_guided_->online_bias().restore(state.at("online_bias"));
  if (!maps_epoch_) return;
  if (options_.mask_source == MaskSource::online || fs::exists(maps_path())) {
    open_maps();
    return;
  }
  const fs::path made_from = folder_.checkpoints() / CheckpointName{*maps_epoch_, 0}.file();
  check(fs::exists(made_from), ExitCode::checkpoint, maps_path().string(), " is lost, and so is ",
        made_from.string(), " from which it could be made again; restore either, or start anew");
  warn(maps_path().string(), " is lost; making it again from ", made_from.string());
  const std::string hash = maps_hash_;
  LoadedMae loaded = load_mae(made_from);
  place(loaded.model, options_.device, options_.precision);
  make_maps(*maps_epoch_, loaded.model);
  check(maps_hash_ == hash, ExitCode::checkpoint, made_from.string(),
        " is not the model that made the lost maps; restore ", maps_path().string(),
        " or start anew");
}

}  // namespace sgmae
