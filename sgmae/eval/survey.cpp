#include "sgmae/eval/survey.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <map>

#include "sgmae/analysis/attention_shape.h"
#include "sgmae/analysis/exploitation.h"
#include "sgmae/analysis/fourier.h"
#include "sgmae/analysis/relations.h"
#include "sgmae/analysis/separation.h"
#include "sgmae/analysis/variance.h"
#include "sgmae/base/error.h"
#include "sgmae/mask/guide.h"
#include "sgmae/mask/informed.h"
#include "sgmae/mask/strategy.h"
#include "sgmae/ncut/graph.h"
#include "sgmae/nn/patches.h"

namespace sgmae {
namespace {

constexpr std::int64_t kTapBytes = std::int64_t{96} << 20;  // internals held at a time, per model

// One chart of metrics.json. Its axes: model, part, `more`, x.
struct MetricInfo {
  const char *name, *title, *paper, *unit;
  const char* x = "layer";
  std::vector<std::string> more = {};
  bool along_training = false;  // also drawn over the epochs of a run
};

// The order of metrics.json.
const std::vector<MetricInfo>& metric_infos() {
  static const std::vector<MetricInfo> all{
      {"similarity_to_mean", "Similarity of patches to the mean patch", "Fig. 2", "cosine"},
      {"feature_variance", "Feature variance", "Table 1", "", "layer", {}, true},
      {"similarity_variance", "Similarity variance", "Table 1", ""},
      {"similarity_variance_normalised", "Similarity variance, M scaled to 0 … 1", "Table 1", ""},
      {"separation_similarity",
       "Similarity within and between the two sides of the last checkpoint's cut",
       "Fig. 3a",
       "cosine",
       "layer",
       {"label"},
       true},
      {"separation_attention",
       "Attention within and between the two sides of the last checkpoint's cut",
       "Fig. 3a",
       "attention per patch",
       "layer",
       {"label"},
       true},
      {"divergence_similarity",
       "KL divergence of similarity to the last epoch's",
       "Fig. 3b",
       "nats",
       "layer",
       {},
       true},
      {"divergence_attention",
       "KL divergence of attention to the last epoch's",
       "Fig. 3b",
       "nats",
       "layer",
       {},
       true},
      {"exploitation",
       "Exploitation rate",
       "Fig. 4",
       "share of all outputs",
       "layer",
       {"label"},
       true},
      {"exploitation_literal",
       "Exploitation rate, Eq. 6 as printed",
       "Fig. 4",
       "",
       "layer",
       {"label"},
       true},
      {"nmi", "Mutual information of query and key", "Fig. 6", "of 1"},
      {"nmi_heads",
       "Mutual information of query and key, by head",
       "Fig. 6",
       "of 1",
       "layer",
       {"head"}},
      {"attention_distance", "Attention distance", "Fig. 7a", "pixels"},
      {"attention_distance_heads",
       "Attention distance, by head",
       "Fig. 7a",
       "pixels",
       "layer",
       {"head"}},
      {"fourier_depth",
       "Relative log amplitude of the highest frequency",
       "Fig. 7b",
       "log amplitude",
       "depth",
       {"label"}},
      {"fourier_spectrum",
       "Relative log amplitude",
       "Fig. 7b",
       "log amplitude",
       "frequency",
       {"block"}},
      {"mask_token_variance", "Feature variance of mask tokens", "Fig. 7c", ""},
      {"mask_token_variance_raw", "Mean variance of mask tokens per dimension", "Fig. 7c", ""},
      {"object_iou",
       "Overlap of the object side with the marked objects",
       "Fig. II",
       "IoU",
       "layer",
       {},
       true},
      {"corloc",
       "Images whose seed component's box meets an object's with IoU > 0.5",
       "Fig. II",
       "share of images",
       "layer",
       {},
       true},
      {"hidden_share",
       "Share of the objects' area that the mask hides",
       "Fig. VIII",
       "share",
       "layer",
       {"label"},
       true},
      {"reconstruction_error", "Reconstruction error", "", "mean square", "epoch", {"label"}},
  };
  return all;
}

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

// What the other checkpoints of a run are compared with, for the images at hand.
struct Reference {
  std::map<std::string, at::Tensor> similarity, attention;  // by "part.layer": rows distributions
  at::Tensor side;                                          // [B, N]
};

// The measures of one subject on one chunk of images.
class Look {
 public:
  Look(const Subject& subject, std::size_t model, const SurveyOptions& options,
       const at::Tensor& pixels, const std::vector<std::int64_t>& index,
       std::span<const std::optional<MarkedObjects>> objects, MetricTable& table)
      : subject_(subject),
        model_(model),
        options_(options),
        pixels_(pixels),
        index_(index),
        objects_(objects),
        table_(table) {}

  // `reference` is filled by the last checkpoint of a run and read by the others.
  void run(Reference& reference, bool is_reference) {
    run_model();
    if (is_reference && wants("separation")) find_sides(reference);
    if (covers()) cover_objects();
    for (const Part& part : parts_of(subject_)) {
      for (std::int64_t layer = 0; layer < part.depth; ++layer)
        measure_layer(part, layer, reference, is_reference);
      if (wants("fourier")) measure_fourier(part);
    }
    taps_ = Taps();
    if (wants_masked()) run_masked();
  }

 private:
  bool wants(const char* measure) const { return options_.measures.count(measure) > 0; }
  bool covers() const {
    return wants("coverage") && std::any_of(objects_.begin(), objects_.end(),
                                            [](const auto& marked) { return marked.has_value(); });
  }
  bool wants_relations() const { return wants("separation") || wants("divergence"); }
  bool wants_masked() const {
    return subject_.mae && (wants("exploitation") || wants("mask_tokens") || wants("error"));
  }

  SeriesId id(const char* metric, const std::string& part, std::string label = "") const {
    return {.metric = metric, .model = model_, .part = part, .label = std::move(label)};
  }
  std::string tap(const Part& part, std::int64_t layer, const char* what) const {
    return str(block_of(part, layer), ".", what);
  }
  at::Tensor patches(const Part& part, std::int64_t layer, const char* what) const {
    return taps_[tap(part, layer, what)].slice(1, part.prefix);
  }

  at::Tensor guide_features(const Part& part, std::int64_t layer) const {
    return taps_[feature_tap(block_of(part, layer), options_.features)].slice(1, part.prefix);
  }

  Guide cut_at(const Part& part, std::int64_t layer) const {
    return cut_of(subject_, block_of(part, layer), guide_features(part, layer), options_);
  }

  void check_finite(const Taps& taps) const {
    for (const auto& [name, value] : taps.values())
      check(value.sum().isfinite().item<bool>(), ExitCode::checkpoint, subject_.name, ": ", name,
            " is not finite on some image; the checkpoint is damaged or its training diverged, "
            "take an earlier one");
  }

  // All patches through encoder and decoder, with what the measures look at.
  void run_model() {
    std::vector<std::string> names;
    for (const Part& part : parts_of(subject_))
      for (std::int64_t layer = 0; layer < part.depth; ++layer) {
        if (wants_relations() || wants("attention")) names.push_back(tap(part, layer, "attention"));
        if (wants_relations() || covers())
          names.push_back(feature_tap(block_of(part, layer), options_.features));
        if (wants("relations") || wants("variance") || wants("fourier"))
          names.push_back(tap(part, layer, "block_out"));
        if (wants("fourier")) names.push_back(tap(part, layer, "attention_add"));
      }
    if (names.empty()) return;
    if (wants("fourier")) names.push_back("encoder.embed");
    taps_ = Taps(names);
    run_whole(subject_, pixels_, taps_);
    check_finite(taps_);
  }

  void find_sides(Reference& reference) const {
    const Part encoder = parts_of(subject_).front();
    const std::int64_t layer =
        options_.guide_layer < 0 ? options_.guide_layer + encoder.depth : options_.guide_layer;
    const Guide guide = cut_at(encoder, layer);
    reference.side = guide.object_side;  // all 0 for a degenerate image: separation is NaN there
  }

  void measure_layer(const Part& part, std::int64_t layer, Reference& reference,
                     bool is_reference) {
    const auto x = static_cast<double>(layer);
    if (wants("relations") || wants("variance")) {
      const at::Tensor tokens = patches(part, layer, "block_out");
      if (wants("relations"))
        table_.add(id("similarity_to_mean", part.name), x, similarity_to_mean(tokens).mean(1));
      if (wants("variance")) {
        const at::Tensor m = similarity(tokens);
        table_.add(id("feature_variance", part.name), x, feature_variance(tokens));
        table_.add(id("similarity_variance", part.name), x, similarity_variance(m));
        table_.add(id("similarity_variance_normalised", part.name), x,
                   normalised_similarity_variance(m));
      }
    }
    if (wants("attention")) measure_heads(part, layer);
    if (!wants_relations()) return;
    const at::Tensor m = similarity(guide_features(part, layer));
    const at::Tensor a = attention_relation(taps_[tap(part, layer, "attention")], part.prefix);
    if (wants("separation")) {
      for (const auto& [metric, relation] :
           {std::pair{"separation_similarity", m}, std::pair{"separation_attention", a}}) {
        const Separation s = separation(relation, reference.side);
        table_.add(id(metric, part.name, "within"), x, s.intra);
        table_.add(id(metric, part.name, "between"), x, s.inter);
      }
    }
    if (wants("divergence")) {
      const std::string key = block_of(part, layer);
      const at::Tensor rows = m.softmax(-1);
      if (is_reference) {
        reference.similarity[key] = rows;
        reference.attention[key] = a;
      }
      table_.add(id("divergence_similarity", part.name), x,
                 relation_divergence(rows, reference.similarity.at(key)));
      table_.add(id("divergence_attention", part.name), x,
                 relation_divergence(a, reference.attention.at(key)));
    }
  }

  void measure_heads(const Part& part, std::int64_t layer) {
    const VitConfig& config = subject_.encoder->config();
    const at::Tensor p = patch_attention(taps_[tap(part, layer, "attention")], part.prefix);
    const auto x = static_cast<double>(layer);
    for (const auto& [metric, values] :
         {std::pair{"nmi", attention_nmi(p)},
          std::pair{"attention_distance",
                    attention_distance(p, config.grid_width(), config.patch_size)}}) {
      table_.add(id(metric, part.name), x, values.mean(1));
      for (std::int64_t head = 0; head < values.size(1); ++head) {
        SeriesId series = id(str(metric, "_heads").c_str(), part.name);
        series.head = head;
        table_.add(series, x, values.select(1, head));
      }
    }
  }

  void measure_fourier(const Part& part) {
    const VitConfig& config = subject_.encoder->config();
    const std::int64_t rows = config.grid_height(), columns = config.grid_width();
    const std::vector<double> frequency = diagonal_frequencies(rows, columns);
    const auto amplitude = [&](const at::Tensor& tokens) {
      return relative_log_amplitude(tokens, rows, columns);
    };
    const auto add_depth = [&](double depth, const char* label, const at::Tensor& spectrum) {
      table_.add(id("fourier_depth", part.name, label), depth,
                 spectrum.select(1, spectrum.size(1) - 1));
    };
    if (part.name == "encoder")
      add_depth(0, "after blocks", amplitude(taps_["encoder.embed"].slice(1, part.prefix)));
    for (std::int64_t layer = 0; layer < part.depth; ++layer) {
      const auto depth = static_cast<double>(layer);
      const at::Tensor spectrum = amplitude(patches(part, layer, "block_out"));
      add_depth(depth + 0.5, "after attention", amplitude(patches(part, layer, "attention_add")));
      add_depth(depth + 1, "after blocks", spectrum);
      SeriesId series = id("fourier_spectrum", part.name);
      series.block = layer;
      for (std::size_t f = 0; f < frequency.size(); ++f)
        table_.add(series, frequency[f], spectrum.select(1, static_cast<std::int64_t>(f)));
    }
  }

  // Where objects are marked: how the cut of each layer meets them, and what masks hide of them.
  void cover_objects() {
    const VitConfig& config = subject_.encoder->config();
    const std::int64_t rows = config.grid_height(), columns = config.grid_width();
    const std::int64_t n = rows * columns;
    const std::int64_t n_visible = visible_count(n, options_.mask_ratio);
    const HintOptions hint_options{.ratio = options_.hint_ratio};
    const std::int64_t hints = hint_count(hint_options, n, 0, 0, 1);
    const MaskPlan random = random_plan(index_, n, n_visible, options_.seed, 0);
    const at::Tensor random_mask = mask_of(random);
    std::vector<std::vector<float>> covers(objects_.size());
    for (std::size_t i = 0; i < objects_.size(); ++i)
      if (objects_[i]) covers[i] = object_cover(*objects_[i], rows, columns);

    for (const Part& part : parts_of(subject_))
      for (std::int64_t layer = 0; layer < part.depth; ++layer) {
        const Guide guide = cut_at(part, layer);
        MaskPlan informed{random.order.clone(), n_visible};
        const at::Tensor relevance = guide.relevance.contiguous();
        for (std::size_t i = 0; i < objects_.size(); ++i)
          if (!guide.degenerate[i])
            informed_order(
                {relevance.data_ptr<float>() + i * n, static_cast<std::size_t>(n)}, n_visible,
                hints, HintStrategy::random, GuideTarget::object,
                Rng(options_.seed, 0, static_cast<std::uint64_t>(index_[i]), Purpose::hint),
                {informed.order.data_ptr<std::int64_t>() + i * n, static_cast<std::size_t>(n)});
        add_coverage(part, layer, guide, mask_of(informed), random_mask, covers);
      }
  }

  void add_coverage(const Part& part, std::int64_t layer, const Guide& guide,
                    const at::Tensor& informed_mask, const at::Tensor& random_mask,
                    const std::vector<std::vector<float>>& covers) {
    const VitConfig& config = subject_.encoder->config();
    const std::int64_t n = guide.object_side.size(1);
    const auto row = [n]<class T>(const T* data, std::size_t image) {
      return std::span<const T>(data + static_cast<std::int64_t>(image) * n,
                                static_cast<std::size_t>(n));
    };
    std::vector<double> iou, found, informed, random;
    for (std::size_t i = 0; i < covers.size(); ++i) {
      if (covers[i].empty()) continue;
      informed.push_back(hidden_share(row(informed_mask.data_ptr<float>(), i), covers[i]));
      random.push_back(hidden_share(row(random_mask.data_ptr<float>(), i), covers[i]));
      const auto side = row(guide.object_side.data_ptr<std::uint8_t>(), i);
      iou.push_back(side_iou(side, covers[i]));
      const at::Tensor vector = guide.eigenvector.select(0, static_cast<std::int64_t>(i));
      const auto box = seed_box(side, vector.argmax().item<std::int64_t>(), config.grid_width());
      found.push_back(box && meets_an_object(*box, objects_[i]->boxes));
    }
    if (iou.empty()) return;
    const auto x = static_cast<double>(layer);
    table_.add(id("object_iou", part.name), x, at::tensor(iou, at::kDouble));
    table_.add(id("corloc", part.name), x, at::tensor(found, at::kDouble));
    table_.add(id("hidden_share", part.name, "informed mask"), x,
               at::tensor(informed, at::kDouble));
    table_.add(id("hidden_share", part.name, "random mask"), x, at::tensor(random, at::kDouble));
  }

  bool meets_an_object(const GridBox& found, const std::vector<GridBox>& boxes) const {
    const VitConfig& config = subject_.encoder->config();
    const auto rows = static_cast<double>(config.grid_height());
    const auto columns = static_cast<double>(config.grid_width());
    const GridBox seen{found.left / columns, found.top / rows, found.right / columns,
                       found.bottom / rows};
    return std::any_of(boxes.begin(), boxes.end(),
                       [&](const GridBox& box) { return box_iou(seen, box) > 0.5; });
  }

  // With a part of the image masked at random: what the decoder does with mask tokens.
  void run_masked() {
    const MaeConfig& config = subject_.mae->config();
    const Part decoder = parts_of(subject_).back();
    std::vector<std::string> names;
    for (std::int64_t layer = 0; layer < decoder.depth; ++layer) {
      if (wants("exploitation")) names.push_back(tap(decoder, layer, "attention"));
      if (wants("mask_tokens")) names.push_back(tap(decoder, layer, "block_out"));
    }
    taps_ = Taps(names);
    const MaskPlan plan =
        random_plan(index_, config.n_patches(),
                    visible_count(config.n_patches(), options_.mask_ratio), options_.seed, 0);
    const MaeOutput output = subject_.mae->forward(pixels_, plan, &taps_);
    check_finite(taps_);
    const at::Tensor mask = mask_of(plan);
    if (wants("mask_tokens"))
      for (std::int64_t layer = 0; layer < decoder.depth; ++layer) {
        const MaskTokenVariance v = mask_token_variance(patches(decoder, layer, "block_out"), mask);
        const auto x = static_cast<double>(layer);
        table_.add(id("mask_token_variance", decoder.name), x, v.direction);
        table_.add(id("mask_token_variance_raw", decoder.name), x, v.raw);
      }
    if (wants("exploitation")) measure_exploitation_rate(decoder, mask);
    if (wants("error")) {
      const at::Tensor error = patch_error(config, output.pred);
      const auto x = static_cast<double>(subject_.epoch.value_or(0));
      SeriesId masked = id("reconstruction_error", "", "masked patches");
      masked.model = subject_.last_of_run;  // one curve for all epochs of a run
      SeriesId visible = masked;
      visible.label = "visible patches";
      table_.add(masked, x, (error * mask).sum(1) / mask.sum(1));
      table_.add(visible, x, (error * (1 - mask)).sum(1) / (1 - mask).sum(1));
    }
  }

  void measure_exploitation_rate(const Part& decoder, const at::Tensor& mask) {
    for (std::int64_t i = 0; i < mask.size(0); ++i) {
      std::vector<at::Tensor> attention;
      for (std::int64_t layer = 0; layer < decoder.depth; ++layer)
        attention.push_back(taps_[tap(decoder, layer, "attention")].slice(0, i, i + 1));
      const Exploitation e = exploitation(attention, mask.slice(0, i, i + 1));
      for (const auto& [metric, shares] :
           {std::pair{"exploitation", e.rollout}, std::pair{"exploitation_literal", e.literal}})
        for (std::int64_t layer = 0; layer < decoder.depth; ++layer) {
          const auto x = static_cast<double>(layer);
          table_.add(id(metric, decoder.name, "mask tokens"), x,
                     at::tensor({shares.masked[layer]}, at::kDouble));
          table_.add(id(metric, decoder.name, "visible tokens"), x,
                     at::tensor({shares.visible[layer]}, at::kDouble));
        }
    }
  }

  // Mean squared error of each patch [B, N], of what the model was trained to predict.
  at::Tensor patch_error(const MaeConfig& config, const at::Tensor& pred) const {
    at::Tensor target = patchify(pixels_, config.patch_size);
    if (config.norm_pix_loss)
      target = (target - target.mean(-1, /*keepdim=*/true)) /
               target.var(-1, /*unbiased=*/true, /*keepdim=*/true).add(1e-6).sqrt();
    return (pred - target).square().mean(-1);
  }

  const Subject& subject_;
  std::size_t model_;
  const SurveyOptions& options_;
  const at::Tensor& pixels_;
  const std::vector<std::int64_t>& index_;
  std::span<const std::optional<MarkedObjects>> objects_;
  MetricTable& table_;
  Taps taps_;
};

// Bytes of attention and features of one image.
std::int64_t bytes_per_image(const Subject& subject) {
  const VitConfig& config = subject.encoder->config();
  const auto bytes = [](std::int64_t depth, std::int64_t heads, std::int64_t n, std::int64_t dim) {
    return depth * (heads * n * n + 3 * n * dim) * static_cast<std::int64_t>(sizeof(float));
  };
  const std::int64_t n = config.prefix_tokens() + config.n_patches();
  std::int64_t total = bytes(config.size.depth, config.size.heads, n, config.size.dim);
  if (subject.mae) {
    const VitSize& decoder = subject.mae->config().decoder;
    total += bytes(decoder.depth, decoder.heads, n, decoder.dim);
  }
  return total;
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

const std::vector<Measure>& measures() {
  static const std::vector<Measure> all{
      {"relations", false, "similarity to the mean patch; picture of M, A and CLS attention"},
      {"variance", false, "feature and similarity variance"},
      {"separation", false, "relations within and between the two sides of the last cut"},
      {"divergence", false, "relations against those of the run's last checkpoint"},
      {"exploitation", true, "what the decoder takes from visible and from mask tokens"},
      {"attention", false, "mutual information and distance of every head"},
      {"fourier", false, "spatial frequencies of tokens"},
      {"mask_tokens", true, "how far mask tokens differ along the decoder"},
      {"clusters", false, "picture of K clusters by recursive normalised cut"},
      {"tsne", false, "picture of patches in the plane by t-SNE"},
      {"masks", false, "picture of the cut and the informed mask of every block"},
      {"coverage", false, "how cut and masks meet objects that people marked"},
      {"rollout", false, "picture of what CLS comes from"},
      {"error", true, "reconstruction error, with a picture"},
  };
  return all;
}

at::Tensor renormalised(const at::Tensor& pixels, const Normalisation& from,
                        const Normalisation& to) {
  if (from.mean == to.mean && from.std == to.std) return pixels;
  const auto channels = [](const std::vector<float>& values) {
    return at::tensor(values, at::kFloat).view({1, -1, 1, 1});
  };
  return (pixels * channels(from.std) + channels(from.mean) - channels(to.mean)) / channels(to.std);
}

Guide cut_of(const Subject& subject, const std::string& block, const at::Tensor& features,
             const SurveyOptions& options) {
  const GuideOptions guide{.center = options.center, .object = options.object};
  const auto mean = subject.position_mean.find(block);
  return guide_from_features(features, subject.encoder->config().grid_width(), guide,
                             mean == subject.position_mean.end() ? at::Tensor() : mean->second);
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

Survey::Survey(std::vector<Subject> subjects, SurveyOptions options)
    : subjects_(std::move(subjects)), options_(std::move(options)) {
  SGMAE_ASSERT(!subjects_.empty());
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
    for (const Measure& measure : measures())
      check(subject.mae || !measure.needs_decoder || !options_.measures.count(measure.name),
            ExitCode::checkpoint, subject.name, " has no decoder, and '", measure.name,
            "' looks at one; leave it out of --metrics or give a checkpoint of pre-training");
    const std::int64_t layer =
        options_.guide_layer < 0 ? options_.guide_layer + config.size.depth : options_.guide_layer;
    check(layer >= 0 && layer < config.size.depth, ExitCode::usage, "guide_layer is ",
          options_.guide_layer, ", but the encoder of ", subject.name, " has ", config.size.depth,
          " blocks: choose -", config.size.depth, " … ", config.size.depth - 1);
    most_bytes = std::max(most_bytes, bytes_per_image(subject));
  }
  at_once_ = std::max<std::int64_t>(1, kTapBytes / most_bytes);
}

void Survey::add(const at::Tensor& pixels, const std::vector<std::int64_t>& index,
                 std::span<const std::optional<MarkedObjects>> objects) {
  const auto images = static_cast<std::int64_t>(index.size());
  SGMAE_ASSERT(pixels.size(0) == images);
  SGMAE_ASSERT(objects.empty() || objects.size() == index.size());
  for (std::int64_t begin = 0; begin < images; begin += at_once_) {
    const std::int64_t end = std::min(begin + at_once_, images);
    add_chunk(pixels.slice(0, begin, end), {index.begin() + begin, index.begin() + end},
              objects.empty() ? objects : objects.subspan(begin, end - begin));
  }
}

void Survey::add_chunk(const at::Tensor& pixels, const std::vector<std::int64_t>& index,
                       std::span<const std::optional<MarkedObjects>> objects) {
  images_ += static_cast<std::int64_t>(index.size());
  images_with_objects_ +=
      std::count_if(objects.begin(), objects.end(), [](const auto& o) { return o.has_value(); });
  const auto look = [&](std::size_t model, Reference& reference, bool is_reference) {
    const Subject& subject = subjects_[model];
    const at::Tensor seen =
        renormalised(pixels, subjects_.front().normalisation, subject.normalisation);
    Look(subject, model, options_, seen, index, objects, table_).run(reference, is_reference);
  };
  for (std::size_t last = 0; last < subjects_.size(); ++last) {
    if (subjects_[last].last_of_run != last) continue;
    Reference reference;
    look(last, reference, true);
    for (std::size_t model = 0; model < subjects_.size(); ++model)
      if (model != last && subjects_[model].last_of_run == last) look(model, reference, false);
  }
}

nlohmann::ordered_json Survey::metrics() const {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const MetricInfo& info : metric_infos()) {
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
