#include "sgmae/eval/survey.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <map>
#include <string>

#include "sgmae/base/error.h"
#include "sgmae/mask/strategy.h"

namespace sgmae {
namespace {

constexpr std::int64_t kBytes = std::int64_t{96} << 20;  // of internals held at a time

// One part of a model: which blocks it has and what stands before the patches.
struct Part {
  std::string name;
  std::int64_t depth = 0, prefix = 1;
};

std::vector<Part> parts_of(const Subject& subject) {
  const VitConfig& config = subject.encoder->config();
  std::vector<Part> parts{{"encoder", config.size.depth, config.prefix_tokens()}};
  if (subject.mae) parts.push_back({"decoder", subject.mae->config().decoder.depth, 1});
  return parts;
}

std::string block_of(const Part& part, std::int64_t layer) {
  return str(part.name, ".", layer);
}

// All patches through encoder and, where there is one, decoder.
void run_whole(const Subject& subject, const at::Tensor& pixels, Taps& taps) {
  if (subject.mae)
    subject.mae->forward(pixels, whole_image(pixels.size(0), subject.mae->config().n_patches()),
                         &taps);
  else
    subject.encoder->encode(pixels, &taps, /*taps_only=*/true);
}

// Blocks as they come out of a forward pass: `see` is called with each as soon as all it was asked
// for is there, and its tensors are given up behind it.
class BlockStream {
 public:
  BlockStream(const Scene& scene, at::Tensor mask, std::function<void(const BlockView&)> see)
      : scene_(scene), mask_(std::move(mask)), see_(std::move(see)) {}

  // Every tensor of `what` for every block of `part`.
  void want(const Part& part, const std::set<std::string>& what) {
    for (std::int64_t layer = 0; layer < part.depth; ++layer)
      for (const std::string& name : what) {
        if (name == "embed" && block_of(part, layer) != "encoder.0") continue;
        names_.push_back(name == "embed" ? "encoder.embed" : str(block_of(part, layer), ".", name));
      }
    if (!what.empty()) parts_.push_back(part);
  }

  Taps taps() {
    return Taps(names_,
                [this](const std::string& name, const at::Tensor& value) { receive(name, value); });
  }

  // The block at hand is complete.
  void flush() {
    if (view_) see_(*view_);
    view_.reset();
  }

 private:
  void receive(const std::string& name, const at::Tensor& value) {
    // What is not finite in attention makes its whole row so.
    const at::Tensor probe = name.ends_with(".attention") ? value.select(-1, 0) : value;
    check(probe.sum().isfinite().item<bool>(), ExitCode::checkpoint, scene_.subject.name, ": ",
          name,
          " is not finite on some image; the checkpoint is damaged or its training diverged, ",
          "take an earlier one");
    const std::size_t dot = name.rfind('.');
    const std::string block = name == "encoder.embed" ? "encoder.0" : name.substr(0, dot);
    if (!view_ || view_->name() != block) {
      flush();
      const std::size_t first = block.find('.');
      const auto part = std::find_if(parts_.begin(), parts_.end(), [&](const Part& p) {
        return p.name == block.substr(0, first);
      });
      view_.emplace(scene_, part->name, std::stoll(block.substr(first + 1)), part->depth,
                    part->prefix, mask_);
    }
    view_->put(name.substr(dot + 1), value);
  }

  const Scene& scene_;
  at::Tensor mask_;
  std::function<void(const BlockView&)> see_;
  std::vector<std::string> names_;
  std::vector<Part> parts_;
  std::optional<BlockView> view_;
};

// Bytes held for one image: the largest block's attention and features, and two relations of every
// block, which gauges may keep until the last.
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
  auto at = nlohmann::ordered_json::array(), values = at, spread = at;
  for (const auto& [position, moments] : curve) {
    at.push_back(position);
    values.push_back(moments.count ? nlohmann::ordered_json(moments.mean) : nullptr);
    spread.push_back(moments.count ? nlohmann::ordered_json(moments.deviation()) : nullptr);
  }
  json["x"] = x;
  json["at"] = std::move(at);
  json["values"] = std::move(values);
  json["spread"] = std::move(spread);
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

void learn_position_means(std::vector<Subject>& subjects, GuideFeatures features,
                          const std::function<bool(at::Tensor& pixels)>& next) {
  std::int64_t images = 0;
  for (at::Tensor pixels; next(pixels);) {
    images += pixels.size(0);
    for (Subject& subject : subjects) {
      std::vector<std::string> names;
      for (const Part& part : parts_of(subject))
        for (std::int64_t layer = 0; layer < part.depth; ++layer)
          names.push_back(feature_tap(block_of(part, layer), features));
      Taps taps(names);
      run_whole(subject,
                renormalised(pixels, subjects.front().normalisation, subject.normalisation), taps);
      for (const Part& part : parts_of(subject))
        for (std::int64_t layer = 0; layer < part.depth; ++layer) {
          const std::string block = block_of(part, layer);
          const at::Tensor sum = taps[feature_tap(block, features)].slice(1, part.prefix).sum(0);
          at::Tensor& total = subject.position_mean[block];
          total = total.defined() ? total + sum : sum;
        }
    }
  }
  for (Subject& subject : subjects)
    for (auto& [unused, total] : subject.position_mean) total = total / static_cast<double>(images);
}

Survey::Survey(std::vector<Subject> subjects, SurveyOptions options,
               const std::vector<Measure>& known)
    : subjects_(std::move(subjects)), options_(std::move(options)) {
  SGMAE_ASSERT(!subjects_.empty());
  std::vector<Measure> wanted;
  for (const Measure& measure : known)
    if (options_.measures.count(measure.name)) wanted.push_back(measure);
  for (const Measure& measure : wanted) {
    charts_.insert(charts_.end(), measure.charts.begin(), measure.charts.end());
    if (measure.gauge) gauges_.push_back(measure.gauge());
  }
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
          " are of one folder but not of one run: grids or depths differ, so their patches cannot "
          "be compared; name the files of one run only");
    for (const Measure& measure : wanted)
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
                 std::span<const std::optional<MarkedObjects>> objects) {
  const auto images = static_cast<std::int64_t>(index.size());
  SGMAE_ASSERT(pixels.size(0) == images);
  SGMAE_ASSERT(objects.empty() || objects.size() == index.size());
  for (std::int64_t begin = 0; begin < images; begin += at_once_) {
    const std::int64_t end = std::min(begin + at_once_, images);
    add_chunk(pixels.slice(0, begin, end), std::span(index).subspan(begin, end - begin),
              objects.empty() ? objects : objects.subspan(begin, end - begin));
  }
}

void Survey::add_chunk(const at::Tensor& pixels, std::span<const std::int64_t> index,
                       std::span<const std::optional<MarkedObjects>> objects) {
  images_ += static_cast<std::int64_t>(index.size());
  images_with_objects_ +=
      std::count_if(objects.begin(), objects.end(), [](const auto& o) { return o.has_value(); });
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
            .table = table_});
    }
  }
}

void Survey::look(const Scene& scene) {
  const std::vector<Part> parts = parts_of(scene.subject);
  std::set<std::string> whole, masked;
  bool masks = false;
  for (const auto& gauge : gauges_) {
    whole.merge(gauge->whole(scene));
    if (auto more = gauge->masked(scene)) {
      masked.merge(*more);
      masks = true;
    }
  }
  if (!whole.empty()) {
    BlockStream stream(scene, {}, [&](const BlockView& block) {
      for (const auto& gauge : gauges_) gauge->see(block);
    });
    for (const Part& part : parts) stream.want(part, whole);
    Taps taps = stream.taps();
    run_whole(scene.subject, scene.pixels, taps);
    stream.flush();
  }
  if (!masks) return;
  const std::int64_t n = scene.subject.mae->config().n_patches();
  const MaskPlan plan = random_plan({scene.index.begin(), scene.index.end()}, n,
                                    visible_count(n, options_.mask_ratio), options_.seed, 0);
  const at::Tensor mask = mask_of(plan);
  BlockStream stream(scene, mask, [&](const BlockView& block) {
    for (const auto& gauge : gauges_) gauge->see_masked(block);
  });
  stream.want(parts.back(), masked);
  Taps taps = stream.taps();
  const MaeOutput output = scene.subject.mae->forward(scene.pixels, plan, &taps);
  stream.flush();
  for (const auto& gauge : gauges_) gauge->see_output(scene, output, mask);
}

nlohmann::ordered_json Survey::metrics() const {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const MetricInfo& info : charts_) {
    const auto chart = [&](const std::string& title, std::vector<std::string> more,
                           const std::string& x, const std::map<SeriesId, MetricTable::Curve>& in) {
      std::vector<std::string> axes{"model", "part"};
      axes.insert(axes.end(), more.begin(), more.end());
      axes.push_back(x);
      nlohmann::ordered_json metric{{"title", title},
                                    {"paper", info.paper},
                                    {"unit", info.unit},
                                    {"axes", axes},
                                    {"series", nlohmann::ordered_json::array()}};
      for (const auto& [id, curve] : in) metric["series"].push_back(curve_json(id, curve, x));
      return metric;
    };
    std::map<SeriesId, MetricTable::Curve> curves, over_training;
    for (const auto& [id, curve] : table_.curves()) {
      if (id.metric != info.name) continue;
      curves[id] = curve;
      const Subject& subject = subjects_[id.model];
      if (!info.along_training || !subject.epoch) continue;
      for (const auto& [layer, moments] : curve) {  // the same numbers, a curve for each block
        SeriesId by_epoch = id;
        by_epoch.model = subject.last_of_run;
        by_epoch.block = static_cast<std::int64_t>(layer);
        over_training[by_epoch][static_cast<double>(*subject.epoch)] = moments;
      }
    }
    if (!curves.empty()) json[info.name] = chart(info.title, info.more, info.x, curves);
    std::erase_if(over_training, [](const auto& entry) { return entry.second.size() < 2; });
    if (over_training.empty()) continue;
    std::vector<std::string> more = info.more;
    more.insert(more.begin(), "block");
    json[str(info.name, "_by_epoch")] =
        chart(str(info.title, ", over training"), more, "epoch", over_training);
  }
  return json;
}

}  // namespace sgmae
