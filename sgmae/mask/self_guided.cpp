#include "sgmae/mask/self_guided.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "sgmae/analysis/guide_start.h"
#include "sgmae/base/log.h"
#include "sgmae/mask/patch_error.h"
#include "sgmae/parallel/process_group.h"

namespace sgmae {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
namespace fs = std::filesystem;

constexpr std::int64_t position_sample_size = 4096;

// What a network that knows nothing yet takes for the object is chance.
void check_trained(const SelfGuidedOptions& options, const MaskContext& context) {
  const GuideStart start = options.start(context.epochs);
  if (start.automatic || start.epoch > 0) return;
  need(context.trained,
       "guide_start 0 would take masks from an untrained network; give 1 or more epochs, or begin "
       "from weights with --init");
  need(context.trained_decoder || !asks_for_error(options.guide.object),
       str("guide_start 0 would ask a decoder that is not trained what it reconstructs worst "
           "(guide_object ",
           to_string(options.guide.object),
           "); give 1 or more epochs, or another --guide_object such as eigenvector"));
}

// A run that begins from a guided checkpoint stays guided.
void tell_late_start(const SelfGuidedOptions& options, const MaskContext& context,
                     std::int64_t begun) {
  if (options.guide_start.empty()) return;
  const GuideStart wanted = options.start(context.epochs);
  if (!wanted.automatic && begun < wanted.epoch)
    warn_once(str("guide_start ", wanted.epoch, " has no effect: guidance of the checkpoint began ",
                  "after epoch ", begun));
}

GuideOptions guide_options(const SelfGuidedOptions& options, const MaskContext& context) {
  check_trained(options, context);
  GuideOptions guide = options.guide;
  guide.mask_ratio = context.mask_ratio;
  guide.seed = context.seed;
  guide_tap(context.model.config(), guide);  // refuses a layer that does not exist
  return guide;
}

}  // namespace

void SelfGuidedOptions::declare(Options& o) {
  o.add("guide_start", guide_start,
        "epochs of random masks before guidance begins; auto: by the exploitation rate; empty: "
        "epochs / 8");
  declare_guide(o, guide);
  o.add("guide_target", guide_target,
        {{"object", GuideTarget::object},
         {"background", GuideTarget::background},
         {"alternate", GuideTarget::alternate}},
        "cluster to hide; alternate: object and background in alternate epochs");
  o.add("hint_ratio", hints.ratio,
        "hint patches at the start of guidance, as a share of all patches");
  o.add("hint_strategy", hints.strategy,
        {{"random", HintStrategy::random},
         {"similarity", HintStrategy::similarity},
         {"none", HintStrategy::none}},
        "how hints are drawn from the patches to be masked");
  o.add("hint_decay", hints.decay,
        {{"none", HintDecay::none},
         {"linear", HintDecay::linear},
         {"cosine", HintDecay::cosine},
         {"quadratic", HintDecay::quadratic}},
        "law by which the hint ratio falls to the end of the run");
  o.add("hint_floor", hints.floor, "hint patches that stay to the end");
  o.add("mask_source", mask_source,
        {{"stored", MaskSource::stored}, {"online", MaskSource::online}},
        "stored: relevance maps made in one pass; online: from the present model at every step");
  o.add("mask_refresh_epochs", mask_refresh_epochs,
        "epochs between new stored maps; 0: made once (paper)");
}

GuideStart SelfGuidedOptions::start(std::int64_t epochs) const {
  if (guide_start == "auto") return {.automatic = true};
  if (guide_start.empty()) return {.epoch = std::max<std::int64_t>(1, epochs / 8)};
  char* end = nullptr;
  const long epoch = std::strtol(guide_start.c_str(), &end, 10);
  sgmae::check(*end == '\0' && epoch >= 0, ExitCode::usage, "guide_start: '", guide_start,
               "' is neither a number of epochs nor auto");
  return {.epoch = epoch};
}

void SelfGuidedOptions::check(bool probed) const {
  need(mask_refresh_epochs >= 0,
       str("mask_refresh_epochs must not be negative, but is ", mask_refresh_epochs));
  need(hints.ratio >= 0 && hints.ratio < 1,
       str("hint_ratio must be in 0 .. 1, but is ", hints.ratio));
  need(hints.floor >= 0, str("hint_floor must not be negative, but is ", hints.floor));
  need(!start(0).automatic || probed,
       "guide_start = auto needs the exploitation rate; set probe_images to 64 or more");
}

std::int64_t SelfGuidedOptions::random_epochs(std::int64_t epochs) const {
  const GuideStart begins = start(epochs);
  return begins.automatic ? 0 : std::min(begins.epoch, epochs);
}

std::unique_ptr<MaskStrategyOptions> SelfGuidedOptions::clone() const {
  return std::make_unique<SelfGuidedOptions>(*this);
}

MaskCost SelfGuidedOptions::cost(const MaeConfig& model, std::int64_t n_visible,
                                 std::int64_t epochs) const {
  const GuideStart begin = start(epochs);
  // An automatic start is taken to be where the default is.
  const std::int64_t first = begin.automatic ? epochs / 8 : begin.epoch;
  guide_tap(model, guide);  // refuses a layer that does not exist
  const std::int64_t depth = model.encoder.depth;
  const std::int64_t blocks = 1 + (guide.layer < 0 ? guide.layer + depth : guide.layer);
  ForwardPasses look;
  if (guide.part == GuidePart::decoder)
    look.autoencoder = 1;
  else
    look.encoder = static_cast<double>(blocks) / static_cast<double>(depth);
  if (asks_for_error(guide.object))
    look.autoencoder += static_cast<double>(error_masks(model.n_patches(), n_visible));
  if (mask_source == MaskSource::online)
    return {.informed_epochs = std::max<std::int64_t>(epochs - first, 0), .step = look};
  return {.map_passes = map_passes(epochs, first, mask_refresh_epochs), .map_pass = look};
}

std::unique_ptr<MaskStrategy> SelfGuidedOptions::make(const MaskContext& context) const {
  return std::make_unique<SelfGuided>(*this, context);
}

SelfGuided::SelfGuided(const SelfGuidedOptions& options, const MaskContext& context)
    : options_(options),
      context_(context),
      guide_(guide_options(options, context)),
      planner_(fresh_planner()),
      maps_(context,
            {.tap = guide_tap(context.model.config(), guide_),
             .center = guide_.center,
             .object = guide_.object},
            looks_at(), options.mask_source == MaskSource::stored,
            [this](const Mae& model, const fs::path& path, const MapInfo& info) {
              return make_maps(model, path, info);
            }) {}

GuidedPlanner SelfGuided::fresh_planner() const {
  return GuidedPlanner(context_.model.config(), {.target = options_.guide_target,
                                                 .hints = options_.hints,
                                                 .mask_ratio = context_.mask_ratio,
                                                 .epochs = context_.epochs,
                                                 .seed = context_.seed});
}

bool SelfGuided::is_online() const {
  return start_ && options_.mask_source == MaskSource::online;
}

MaskPlan SelfGuided::plan(const Batch& batch, std::int64_t epoch) {
  return planner_.plan(batch, epoch);
}

EpochStart SelfGuided::before_epoch(std::int64_t epoch) {
  const auto start_before = start_;
  if (!start_) decide_start(epoch);
  if (!start_) return {};
  EpochStart begins{.save_now = maps_.due(epoch, *start_, options_.mask_refresh_epochs)};
  if (!start_before)
    begins.news.push_back(str("guidance began after epoch ", epoch, " because ", reason_));
  if (begins.save_now) {
    try {
      if (const std::string found = maps_.make(epoch); !found.empty()) begins.news.push_back(found);
    } catch (...) {  // interrupted: the epoch begins anew when the run goes on
      start_ = start_before;
      throw;
    }
    begin_planning();
  }
  begins.losses_do_not_compare =
      epoch >= *start_ &&
      (epoch == maps_.epoch() || options_.guide_target == GuideTarget::alternate);
  return begins;
}

void SelfGuided::decide_start(std::int64_t epoch) {
  const GuideStart wanted = options_.start(context_.epochs);
  const GuideStartVerdict verdict =
      context_.probe ? context_.probe->verdict() : GuideStartVerdict{};
  if (wanted.automatic ? !verdict.epoch : epoch < wanted.epoch) return;
  const std::string automatic =
      context_.probe ? "; the automatic rule says: " + verdict.reason : std::string();
  reason_ = wanted.automatic ? verdict.reason
            : options_.guide_start.empty()
                ? str("that is one eighth of the run", automatic)
                : str("guide_start is ", options_.guide_start, automatic);
  start_ = epoch;
}

std::string SelfGuided::looks_at() const {
  return str(guide_tap(context_.model.config(), guide_), ", guide_center ",
             to_string(guide_.center), ", guide_object ", to_string(guide_.object));
}

std::string SelfGuided::make_maps(const Mae& model, const fs::path& path, const MapInfo& info) {
  if (guide_.center == GuideCenter::position) {
    const auto sample =
        position_sample(context_.source.size(), position_sample_size, context_.seed, info.epoch);
    position_mean_ = estimate_position_mean(model, guide_, training_images_whole(context_, sample));
  }
  if (options_.mask_source == MaskSource::online) return {};
  const RelevancePassStats stats = make_relevance_maps(model, guide_, position_mean_,
                                                       training_images_whole(context_), path, info);
  sgmae::check(stats.degenerate < stats.images, ExitCode::diverged, "none of ", stats.images,
               " images got guidance after epoch ", info.epoch,
               ": the model does not tell their patches apart. It has diverged (try a lower "
               "--blr), or the images are blank");
  pass_ = {{"position_bias", stats.position_bias},
           {"object_share", stats.object_share},
           {"degenerate", stats.degenerate},
           {"seconds", stats.seconds}};
  return str("relevance maps of ", stats.images, " images in ", fixed(stats.seconds, 1),
             " s: position bias ", fixed(stats.position_bias, 4), " (",
             fixed(stats.bias_by_chance, 4), " by chance), object share ",
             fixed(stats.object_share, 2), ", ", stats.degenerate, " without guidance, ",
             stats.exact_solves, " left to the exact solver");
}

bool SelfGuided::needs_checkpoint(const CheckpointName& name) const {
  return maps_.needs_checkpoint(name);
}

void SelfGuided::checkpoints_left(const std::vector<CheckpointName>& left) {
  maps_.checkpoints_left(left);
}

void SelfGuided::begin_planning() {
  if (maps_.maps())
    planner_.start(*start_, maps_.maps());
  else
    planner_.start(*start_, context_.model, guide_, position_mean_);
}

ordered_json SelfGuided::after_epoch(std::int64_t) {
  if (is_online()) report_online();
  ordered_json entries = ordered_json::object();
  if (start_) entries["guide_start"] = *start_;
  if (maps_.epoch() && !pass_.is_null()) {
    entries["mask_position_bias"] = pass_["position_bias"];
    entries["mask_object_share"] = pass_["object_share"];
    entries["mask_degenerate"] = pass_["degenerate"];
  }
  return entries;
}

// A stored pass reports when it is made; this is its counterpart, over the epoch's batches.
void SelfGuided::report_online() {
  PositionBias bias = std::exchange(planner_.online_bias(), {});
  bias.sum_over_processes();
  const bool followed = !pass_.is_null() && pass_.at("follows_position").get<bool>();
  if (bias.follows_position() && !followed) warn_of_position(bias, guide_.object);
  pass_ = {{"position_bias", bias.value()},
           {"object_share", bias.object_share()},
           {"degenerate", bias.degenerate()},
           {"follows_position", bias.follows_position()}};
}

json SelfGuided::description() const {
  json described = json::object();
  if (start_) described["start"] = *start_;
  if (position_mean_.defined())
    described[position_mean_tap_key] = guide_tap(context_.model.config(), guide_);
  return described;
}

TaskState SelfGuided::state() const {
  json state{{"reason", reason_}, {"pass", pass_}};
  maps_.save(state);
  if (start_) state["start"] = *start_;
  if (is_online()) {
    PositionBias bias = planner_.online_bias();
    bias.sum_over_processes();
    state["online_bias"] = bias.state();
  }
  NamedTensors tensors;
  if (position_mean_.defined()) tensors.emplace_back(position_mean_name, position_mean_);
  return {state, tensors};
}

void SelfGuided::restore(const json& state, const TensorFile& file) {
  // A run whose masks were random so far, of another strategy too, says nothing of these.
  reason_ = state.value("reason", "");
  pass_ = state.value("pass", json());
  start_ = state.contains("start") ? std::optional<std::int64_t>(state["start"]) : std::nullopt;
  if (start_) tell_late_start(options_, context_, *start_);
  const at::Tensor* mean = file.find(position_mean_name);
  position_mean_ = mean ? *mean : at::Tensor();
  planner_ = fresh_planner();  // one that has not started
  // What masks from the present model go on with is of no use to stored ones, nor the other way.
  const bool another_source = start_ && state.contains("online_bias") != is_online();
  if (another_source)
    warn("the checkpoint was guided by mask_source ", is_online() ? "stored" : "online",
         "; recomputing guidance for ", is_online() ? "online" : "stored");
  if (!maps_.restore(another_source ? json::object() : state) || another_source) {
    position_mean_ = at::Tensor();
    pass_ = {};
    return;
  }
  if (is_online() && processes().leads())  // the sum of all processes
    planner_.online_bias().restore(state.at("online_bias"));
  if (maps_.epoch()) begin_planning();
}

}  // namespace sgmae
