#include "sgmae/eval/survey.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <map>
#include <string>

#include "sgmae/base/error.h"
#include "sgmae/mask/strategy.h"
#include "sgmae/parallel/process_group.h"

namespace sgmae {
namespace {

constexpr std::int64_t kBytes = std::int64_t{96} << 20;  // of internals held at a time

// One part of a model: which blocks it has and what stands before the patches.
struct Part {
  std::string name;
  std::int64_t depth = 0, prefix = 1, dim = 0;
};

std::vector<Part> parts_of(const Subject& subject) {
  const VitConfig& config = subject.encoder->config();
  std::vector<Part> parts{{"encoder", config.size.depth, config.prefix_tokens(), config.size.dim}};
  if (subject.mae) {
    const VitSize& decoder = subject.mae->config().decoder;
    parts.push_back({"decoder", decoder.depth, 1, decoder.dim});
  }
  return parts;
}

// All patches through encoder and, where there is one, decoder.
void run_whole(const Subject& subject, const at::Tensor& pixels, Taps& taps) {
  if (subject.mae)
    subject.mae->forward(pixels, whole_image(pixels.size(0), subject.mae->config().n_patches()),
                         &taps);
  else
    subject.encoder->encode(pixels, &taps, /*taps_only=*/true);
}

// Calls see(block) for every block of `parts` in the pass that run(taps) makes, as soon as all
// `wanted` of it is there, and gives its tensors up behind it.
template <class Run, class See>
void see_blocks(const Scene& scene, const std::vector<Part>& parts, std::set<std::string> wanted,
                const at::Tensor& mask, Run run, See see) {
  struct Place {
    const Part* part;
    std::int64_t layer;
    std::string what;
  };
  std::map<std::string, Place> places;  // by name of the tap
  if (wanted.erase("embed")) places["encoder.embed"] = {&parts.front(), 0, "embed"};
  if (wanted.erase("features")) wanted.insert(features_tap(scene.options));
  for (const Part& part : parts)
    for (std::int64_t layer = 0; layer < part.depth; ++layer)
      for (const std::string& what : wanted)
        places[str(part.name, ".", layer, ".", what)] = {&part, layer, what};
  std::vector<std::string> names;
  for (const auto& [name, unused] : places) names.push_back(name);

  std::optional<BlockView> block;
  Taps taps(names, [&](const std::string& name, const at::Tensor& value) {
    const auto& [part, layer, what] = places.at(name);
    // What is not finite in attention makes its whole row so.
    const at::Tensor probe = what == "attention" ? value.select(-1, 0) : value;
    check(probe.sum().isfinite().item<bool>(), ExitCode::checkpoint, scene.subject.name, ": ", name,
          " is not finite for some image; the checkpoint is damaged or its training diverged, ",
          "use an earlier one");
    if (block && (block->part != part->name || block->layer != layer)) {
      see(*block);
      block.reset();
    }
    if (!block) block.emplace(BlockView{scene, part->name, layer, part->depth, part->prefix, mask});
    block->taps[what] = value;
  });
  run(taps);
  if (block) see(*block);
}

// Bytes held for one image: the largest block's attention and features, and two relations of every
// block, which measures may keep until the last.
std::int64_t bytes_per_image(const Subject& subject) {
  const VitConfig& config = subject.encoder->config();
  const std::int64_t n = config.prefix_tokens() + config.n_patches();
  std::int64_t block = 0, relations = 0;
  const auto count = [&](const VitSize& size) {
    block = std::max(block, size.heads * n * n + 6 * n * size.dim);
    relations += 2 * size.depth * n * n;
  };
  count(config.size);
  if (subject.mae) count(subject.mae->config().decoder);
  return (block + relations) * static_cast<std::int64_t>(sizeof(float));
}

nlohmann::ordered_json curve_json(const SeriesId& id, const MetricTable::Curve& curve,
                                  const std::string& x) {
  nlohmann::ordered_json json{{"model", id.model}};
  if (!id.part.empty()) json["part"] = id.part;
  if (!id.label.empty()) json["label"] = id.label;
  if (id.block >= 0) json["block"] = id.block;
  if (id.head >= 0) json["head"] = id.head;
  auto at = nlohmann::ordered_json::array(), values = at, spread = at, errors = at;
  for (const auto& [position, moments] : curve) {
    at.push_back(position);
    values.push_back(moments.count ? nlohmann::ordered_json(moments.mean) : nullptr);
    spread.push_back(moments.count ? nlohmann::ordered_json(moments.deviation()) : nullptr);
    errors.push_back(moments.count ? nlohmann::ordered_json(moments.standard_error()) : nullptr);
  }
  json["x"] = x;
  json["at"] = std::move(at);
  json["values"] = std::move(values);
  json["spread"] = std::move(spread);
  json["standard_error"] = std::move(errors);
  return json;
}

}  // namespace

at::Tensor renormalised(const at::Tensor& pixels, const Normalisation& from,
                        const Normalisation& to) {
  if (from.mean == to.mean && from.std == to.std) return pixels;
  const auto channels = [](const std::vector<float>& values) {
    return at::tensor(values, at::kFloat).view({1, -1, 1, 1});
  };
  return (pixels * channels(from.std) + channels(from.mean) - channels(to.mean)) / channels(to.std);
}

PositionMeans::PositionMeans(const std::vector<Subject>& subjects, GuideFeatures features)
    : subjects_(subjects), sums_(subjects.size()) {
  options_.features = features;
  for (std::size_t i = 0; i < subjects.size(); ++i)
    for (const Part& part : parts_of(subjects[i]))
      for (std::int64_t layer = 0; layer < part.depth; ++layer)
        sums_[i][str(part.name, ".", layer)] =
            at::zeros({subjects[i].encoder->config().n_patches(), part.dim});
}

void PositionMeans::add(const at::Tensor& pixels) {
  for (std::size_t i = 0; i < subjects_.size(); ++i) {
    const Subject& subject = subjects_[i];
    std::map<std::string, at::Tensor> own;  // of this batch
    processes().together([&] {
      if (!pixels.defined()) return;
      MetricTable unused;
      const Scene scene{
          .options = options_,
          .subject = subject,
          .pixels = renormalised(pixels, subjects_.front().normalisation, subject.normalisation),
          .table = unused};
      see_blocks(
          scene, parts_of(subject), {"features"}, {},
          [&](Taps& taps) { run_whole(subject, scene.pixels, taps); },
          [&](const BlockView& block) { own[block.name()] = block.features().sum(0); });
    });
    // Batch after batch, as one process meets them.
    for (auto& [block, sum] : sums_[i])
      for (const at::Tensor& part :
           processes().gather(pixels.defined() ? own.at(block).to(at::kCPU, at::kFloat).unsqueeze(0)
                                               : sum.unsqueeze(0).slice(0, 0, 0)))
        if (part.size(0) > 0) sum = sum + part[0];
  }
  images_ += static_cast<std::int64_t>(
      processes().sum(pixels.defined() ? static_cast<double>(pixels.size(0)) : 0.0));
}

void PositionMeans::hand_to(std::vector<Subject>& subjects) const {
  for (std::size_t i = 0; i < subjects.size(); ++i)
    for (const auto& [block, sum] : sums_[i])
      subjects[i].position_mean[block] =
          (sum / static_cast<double>(images_)).to(subjects[i].encoder->device());
}

Survey::Survey(std::vector<Subject> subjects, SurveyOptions options,
               const std::vector<Measure>& known)
    : subjects_(std::move(subjects)), options_(std::move(options)) {
  SGMAE_ASSERT(!subjects_.empty());
  for (const Measure& measure : known)
    if (options_.measures.count(measure.name)) measures_.push_back(measure);
  const Subject& first = subjects_.front();
  const VitConfig& size = first.encoder->config();
  std::int64_t most_bytes = 1;
  for (const Subject& subject : subjects_) {
    const VitConfig& config = subject.encoder->config();
    SGMAE_ASSERT(subject.last_of_run < subjects_.size());
    check(config.height == size.height && config.width == size.width &&
              config.channels == size.channels,
          ExitCode::usage, "one pass shows all models the same images, but ", first.name, " takes ",
          size.channels, "x", size.height, "x", size.width, " and ", subject.name, " ",
          config.channels, "x", config.height, "x", config.width, "; analyse them one by one");
    const Subject& last = subjects_[subject.last_of_run];
    check(parts_of(subject).size() == parts_of(last).size() &&
              config.patch_size == last.encoder->config().patch_size &&
              config.size.depth == last.encoder->config().size.depth,
          ExitCode::usage, subject.name, " and ", last.name,
          " are in one folder but do not belong to one run: grids or depths differ, so their "
          "patches cannot be compared; give the files of one run only");
    for (const Measure& measure : measures_)
      check(subject.mae || !measure.needs_decoder, ExitCode::checkpoint, subject.name,
            " has no decoder, and '", measure.name,
            "' looks at one; leave it out of --metrics or give a checkpoint of pre-training");
    const std::int64_t layer =
        options_.guide_layer < 0 ? options_.guide_layer + config.size.depth : options_.guide_layer;
    check(layer >= 0 && layer < config.size.depth, ExitCode::usage, "guide_layer is ",
          options_.guide_layer, ", but the encoder of ", subject.name, " has ", config.size.depth,
          " blocks: choose -", config.size.depth, " … ", config.size.depth - 1);
    most_bytes = std::max(most_bytes, bytes_per_image(subject));
  }
  at_once_ = std::max<std::int64_t>(1, kBytes / most_bytes);
}

void Survey::add(const at::Tensor& pixels, const std::vector<std::int64_t>& index,
                 std::span<const std::optional<MarkedObjects>> objects,
                 const std::vector<StoredRelevance>& stored) {
  const auto images = static_cast<std::int64_t>(index.size());
  SGMAE_ASSERT(images == 0 || pixels.size(0) == images);
  SGMAE_ASSERT(objects.empty() || objects.size() == index.size());
  processes().together([&] {
    for (std::int64_t begin = 0; begin < images; begin += at_once_) {
      const std::int64_t end = std::min(begin + at_once_, images);
      std::vector<StoredRelevance> stored_here = stored;
      for (StoredRelevance& maps : stored_here)
        maps.relevance = maps.relevance.slice(0, begin, end);
      add_chunk(pixels.slice(0, begin, end), std::span(index).subspan(begin, end - begin),
                objects.empty() ? objects : objects.subspan(begin, end - begin), stored_here);
    }
  });
  table_.gather();
  const auto marked =
      std::count_if(objects.begin(), objects.end(), [](const auto& o) { return o.has_value(); });
  const at::Tensor counts = at::tensor({images, static_cast<std::int64_t>(marked)}, at::kLong);
  processes().sum(counts);
  images_ += counts[0].item<std::int64_t>();
  images_with_objects_ += counts[1].item<std::int64_t>();
}

void Survey::add_chunk(const at::Tensor& pixels, std::span<const std::int64_t> index,
                       std::span<const std::optional<MarkedObjects>> objects,
                       std::span<const StoredRelevance> stored) {
  // Of each run its last checkpoint, then the others.
  for (std::size_t last = 0; last < subjects_.size(); ++last) {
    std::vector<std::size_t> run;
    for (std::size_t model = 0; model < subjects_.size(); ++model)
      if (subjects_[model].last_of_run == last)
        run.insert(model == last ? run.begin() : run.end(), model);
    for (const std::size_t model : run) {
      const Subject& subject = subjects_[model];
      look({.options = options_,
            .subject = subject,
            .model = model,
            .is_reference = model == last,
            .pixels = renormalised(pixels, subjects_.front().normalisation, subject.normalisation),
            .index = index,
            .objects = objects,
            .stored = stored,
            .table = table_});
    }
  }
}

void Survey::look(const Scene& scene) {
  const std::vector<Part> parts = parts_of(scene.subject);
  std::vector<const Measure*> measures;
  std::set<std::string> whole, masked;  // taps
  for (const Measure& measure : measures_) {
    if (measure.needs_objects && !scene.has_objects()) continue;
    measures.push_back(&measure);
    if (measure.see) whole.insert(measure.taps.begin(), measure.taps.end());
    if (measure.see_masked) masked.insert(measure.taps.begin(), measure.taps.end());
  }
  for (const Measure* measure : measures)
    if (measure->see_scene) measure->see_scene(scene);
  if (!whole.empty())
    see_blocks(
        scene, parts, whole, {}, [&](Taps& taps) { run_whole(scene.subject, scene.pixels, taps); },
        [&](const BlockView& block) {
          for (const Measure* measure : measures)
            if (measure->see) measure->see(block);
        });
  if (std::none_of(measures.begin(), measures.end(),
                   [](const Measure* m) { return m->see_masked || m->see_output; }))
    return;
  const std::int64_t n = scene.subject.mae->config().n_patches();
  const MaskPlan plan = random_plan({scene.index.begin(), scene.index.end()}, n,
                                    visible_count(n, options_.mask_ratio), options_.seed, 0);
  const at::Tensor mask = mask_of(plan);
  MaeOutput output;
  see_blocks(
      scene, {parts.back()}, masked, mask,
      [&](Taps& taps) { output = scene.subject.mae->forward(scene.pixels, plan, &taps); },
      [&](const BlockView& block) {
        for (const Measure* measure : measures)
          if (measure->see_masked) measure->see_masked(block);
      });
  for (const Measure* measure : measures)
    if (measure->see_output) measure->see_output(scene, output, mask);
}

nlohmann::ordered_json Survey::metrics() const {
  using Curves = std::map<SeriesId, MetricTable::Curve>;
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  const auto put = [&](const MetricInfo& chart, const Curves& curves) {
    std::vector<std::string> axes{"model", "part"};
    axes.insert(axes.end(), chart.more.begin(), chart.more.end());
    axes.push_back(chart.x);
    json[chart.name] = {{"title", chart.title},
                        {"paper", chart.paper},
                        {"good", chart.good},
                        {"unit", chart.unit},
                        {"may_be_negative", chart.may_be_negative},
                        {"axes", axes},
                        {"series", nlohmann::ordered_json::array()}};
    for (const auto& [id, curve] : curves)
      json[chart.name]["series"].push_back(curve_json(id, curve, chart.x));
  };
  for (const Measure& measure : measures_)
    for (MetricInfo chart : measure.charts) {
      Curves curves, over_training;
      for (const auto& [id, curve] : table_.curves()) {
        if (id.metric != chart.name) continue;
        curves[id] = curve;
        const Subject& subject = subjects_[id.model];
        if (!chart.along_training || !subject.epoch) continue;
        for (const auto& [layer, moments] : curve) {  // the same numbers, a curve for each block
          SeriesId by_epoch = id;
          by_epoch.model = subject.last_of_run;
          by_epoch.block = static_cast<std::int64_t>(layer);
          over_training[by_epoch][static_cast<double>(*subject.epoch)] = moments;
        }
      }
      std::erase_if(over_training, [](const auto& entry) { return entry.second.size() < 2; });
      if (!curves.empty()) put(chart, curves);
      if (over_training.empty()) continue;
      chart.name += "_by_epoch";
      chart.title += ", over training";
      chart.x = "epoch";
      chart.more.insert(chart.more.begin(), "block");
      put(chart, over_training);
    }
  return json;
}

}  // namespace sgmae
