#include "sgmae/report/analysis_figures.h"
#include "sgmae/analysis/reconstruction.h"
#include "sgmae/mask/informed_plan.h"

#include <ATen/TensorOperators.h>

#include <algorithm>
#include <numeric>

#include "sgmae/analysis/relations.h"
#include "sgmae/analysis/tsne.h"
#include "sgmae/base/error.h"
#include "sgmae/mask/guide.h"
#include "sgmae/mask/informed.h"
#include "sgmae/mask/strategy.h"
#include "sgmae/ncut/graph.h"
#include "sgmae/ncut/recursive.h"
#include "sgmae/nn/patches.h"
#include "sgmae/report/panels.h"

namespace sgmae {
namespace {

constexpr std::size_t kMostBlocks = 12;  // columns of the figure of layers
const Key kScale{.mark = Key::heat, .text = "1 (highest)"};

// What the figures need of one model and the example images.
struct Shown {
  const Subject* subject;
  at::Tensor pixels;  // as this model wants them
  std::vector<Image> picture;
  std::vector<at::Tensor> attention, features;  // per encoder block; features without prefix
  std::int64_t columns = 0, prefix = 1;
};

Shown show(const Subject& subject, const at::Tensor& pixels, const SurveyOptions& options) {
  const VitConfig& config = subject.encoder->config();
  Shown shown{.subject = &subject,
              .pixels = pixels,
              .picture = {},
              .attention = {},
              .features = {},
              .columns = config.grid_width(),
              .prefix = config.prefix_tokens()};
  for (std::int64_t i = 0; i < pixels.size(0); ++i)
    shown.picture.push_back(image_of(pixels, i, subject.normalisation, pixels));
  std::vector<std::string> names;
  for (std::int64_t layer = 0; layer < config.size.depth; ++layer) {
    names.push_back(str("encoder.", layer, ".attention"));
    names.push_back(feature_tap(str("encoder.", layer), options.features));
  }
  Taps taps(names);
  subject.encoder->encode(pixels, &taps, /*taps_only=*/true);
  for (std::int64_t layer = 0; layer < config.size.depth; ++layer) {
    shown.attention.push_back(taps[names[2 * layer]]);
    shown.features.push_back(taps[names[2 * layer + 1]].slice(1, shown.prefix));
  }
  return shown;
}

std::size_t guide_layer(const Shown& shown, const SurveyOptions& options) {
  const auto depth = static_cast<std::int64_t>(shown.features.size());
  return static_cast<std::size_t>(options.guide_layer < 0 ? options.guide_layer + depth
                                                          : options.guide_layer);
}

// The cluster of every patch of image i.
Clustering clusters_of(const Shown& shown, std::int64_t i, const SurveyOptions& options,
                       std::int64_t parts) {
  const std::size_t layer = guide_layer(shown, options);
  const at::Tensor features = shown.features[layer].slice(0, i, i + 1);
  return recursive_ncut(
      similarity(centred_features(*shown.subject, str("encoder.", layer), features, options))[0],
      parts);
}

class Figures {
 public:
  Figures(std::vector<Shown> shown, const SurveyOptions& options, const FigureOptions& figures)
      : shown_(std::move(shown)), options_(options), figures_(figures) {
    const VitConfig& config = shown_.front().subject->encoder->config();
    panel_ = enlarged_panel({static_cast<int>(config.width), static_cast<int>(config.height)});
    images_ = static_cast<std::int64_t>(shown_.front().picture.size());
  }

  std::vector<Figure> all() const {
    std::vector<Figure> figures;
    const auto wants = [&](const char* name) { return options_.measures.count(name) > 0; };
    if (wants("relations")) figures.push_back(relations());
    if (wants("clusters")) figures.push_back(clusters());
    if (wants("tsne")) figures.push_back(plane());
    if (wants("masks"))
      for (std::size_t m = 0; m < shown_.size(); ++m) figures.push_back(masks(m));
    if (wants("rollout")) figures.push_back(rollout());
    if (wants("error")) figures.push_back(errors());
    return figures;
  }

 private:
  // A row for each image, under its name.
  Panels panels(const std::string& title, const std::vector<Column>& columns) const {
    Panels sheet(panel_, columns, images_, title, !figures_.names.empty());
    for (std::int64_t i = 0; i < images_; ++i) sheet.title_row(i, name_of(i));
    return sheet;
  }
  std::string name_of(std::int64_t image) const {
    return static_cast<std::size_t>(image) < figures_.names.size() ? figures_.names[image] : "";
  }
  // Columns: the image, then every model, with these keys.
  std::vector<Column> input_and_models(const std::vector<Key>& keys = {}) const {
    std::vector<Column> columns{{"input"}};
    for (const Shown& shown : shown_) columns.push_back({shown.subject->name, keys});
    return columns;
  }
  int line_width() const {
    return std::max(2, panel_.width / static_cast<int>(shown_.front().columns) / 8);
  }
  std::string layer_note() const {
    return str("Encoder block ", guide_layer(shown_.front(), options_), " of ",
               shown_.front().features.size(), " (from 0)");
  }

  Figure relations() const {
    const std::string title = "Token relations";
    Panels sheet(panel_,
                 {{"input"},
                  {"similarity M", {kScale}},
                  {"attention A", {kScale}},
                  {"cosine with mean", {kScale}},
                  {"attention of CLS", {kScale}}},
                 images_ * static_cast<std::int64_t>(shown_.size()), title, true);
    std::int64_t row = 0;
    for (std::int64_t i = 0; i < images_; ++i)
      for (const Shown& shown : shown_) {
        const std::size_t layer = guide_layer(shown, options_);
        const at::Tensor x = shown.features[layer].slice(0, i, i + 1);
        const at::Tensor attention = shown.attention[layer].slice(0, i, i + 1);
        const std::string name = name_of(i);
        sheet.title_row(
            row, name.empty() ? shown.subject->name : str(name, ", by ", shown.subject->name));
        for (const std::size_t column : {0, 3, 4})
          draw_picture(sheet.canvas(), sheet.place(row, column), shown.picture[i]);
        draw_matrix(sheet.canvas(), sheet.place(row, 1), min_max(similarity(x))[0]);
        // Attention is peaked: its root shows more than its few highest values.
        draw_matrix(sheet.canvas(), sheet.place(row, 2),
                    min_max(attention_relation(attention, shown.prefix))[0].sqrt());
        draw_patch_map(sheet.canvas(), sheet.place(row, 3), min_max(similarity_to_mean(x))[0],
                       shown.columns, 0.8);
        draw_patch_map(sheet.canvas(), sheet.place(row, 4),
                       min_max(cls_attention(attention, shown.prefix))[0], shown.columns, 0.8);
        ++row;
      }
    return {"relations.png", title, "Fig. 2",
            layer_note() +
                ". M: cosine of patches; A: attention among patches, heads averaged (square root); "
                "then each patch's cosine with the mean patch and its attention from CLS. Each "
                "panel is scaled to its own lowest and highest value.",
            sheet.take()};
  }

  Figure clusters() const {
    const std::string title = "Clusters of patches";
    Panels sheet = panels(title + ", a colour each", input_and_models());
    for (std::int64_t i = 0; i < images_; ++i) {
      draw_picture(sheet.canvas(), sheet.place(i, 0), shown_.front().picture[i]);
      for (std::size_t m = 0; m < shown_.size(); ++m) {
        const CropBox place = sheet.place(i, m + 1);
        draw_picture(sheet.canvas(), place, shown_[m].picture[i]);
        draw_clusters(sheet.canvas(), place,
                      clusters_of(shown_[m], i, options_, figures_.clusters).label,
                      shown_[m].columns, line_width());
      }
    }
    return {"clusters.png", title, "Figs. 1, III, VII",
            str(layer_note(), ", cut into ", figures_.clusters,
                " parts by recursive normalised cut. Colours say which patches belong together "
                "within one panel, the largest cluster orange; they mean nothing across panels."),
            sheet.take()};
  }

  Figure plane() const {
    const std::string title = "Patches in the plane";
    Panels sheet = panels(title + ", coloured by cluster", input_and_models());
    for (std::int64_t i = 0; i < images_; ++i) {
      draw_picture(sheet.canvas(), sheet.place(i, 0), shown_.front().picture[i]);
      for (std::size_t m = 0; m < shown_.size(); ++m) {
        const at::Tensor points = shown_[m].features[guide_layer(shown_[m], options_)][i];
        if (points.size(0) < 4) continue;  // no plane to speak of
        draw_points(sheet.canvas(), sheet.place(i, m + 1), tsne(points),
                    clusters_of(shown_[m], i, options_, figures_.clusters).label);
      }
    }
    return {
        "tsne.png", title, "Fig. III",
        layer_note() + ". t-SNE of each image's patches, coloured by the clusters of clusters.png.",
        sheet.take()};
  }

  // Per image two rows: the object by every block, and the mask made from it.
  Figure masks(std::size_t model) const {
    const Shown& shown = shown_[model];
    const std::vector<std::size_t> blocks = spread_evenly(shown.features.size(), kMostBlocks);
    const std::string title = "Objects and informed masks by block, " + shown.subject->name;
    std::vector<Column> columns{
        {"input",
         {{Key::filled, object_colour, "object"}, {Key::filled, masked_colour, "hidden"}}}};
    for (const std::size_t block : blocks) columns.push_back({str("block ", block)});
    Panels sheet(panel_, columns, 2 * images_, title, true);
    const std::int64_t n = shown.features.front().size(1);
    const std::int64_t n_visible = visible_count(n, options_.mask_ratio);
    const std::int64_t hints =
        std::min(n_visible, hint_count({.ratio = options_.hint_ratio}, n, 0, 0, 1));
    const at::Tensor evidence = evidence_of(*shown.subject, shown.pixels, {}, options_);
    for (std::size_t b = 0; b < blocks.size(); ++b) {
      const Guide guide = guide_of(*shown.subject, str("encoder.", blocks[b]),
                                   shown.features[blocks[b]], evidence, options_);
      const at::Tensor mask = mask_of(informed_plan(guide, n_visible, hints));
      for (std::int64_t i = 0; i < images_; ++i) {
        draw_side(sheet, 2 * i, b + 1, shown, i, guide.object_side[i].to(at::kFloat), object_colour,
                  0.5);
        draw_side(sheet, 2 * i + 1, b + 1, shown, i, mask[i], masked_colour, 1);
      }
    }
    for (std::int64_t i = 0; i < images_; ++i) {
      const std::string name = name_of(i).empty() ? "" : name_of(i) + ": ";
      sheet.title_row(2 * i, name + "objects");
      sheet.title_row(2 * i + 1, name + "masks");
      draw_picture(sheet.canvas(), sheet.place(2 * i, 0), shown.picture[i]);
    }
    return {str("masks-", model, ".png"), title, "Figs. II, VIII",
            str("Upper rows: the object by each encoder block's tokens (guide_object ",
                to_string(object_rule_for(*shown.subject, options_)),
                "). Lower rows: "
                "the mask that hides the most relevant ",
                n - n_visible, " of ", n, " patches, with ", hints, " hints left visible."),
            sheet.take()};
  }

  void draw_side(Panels& sheet, std::int64_t row, std::size_t column, const Shown& shown,
                 std::int64_t i, const at::Tensor& side, const Colour& colour,
                 double strength) const {
    const CropBox panel = sheet.place(row, column);
    draw_picture(sheet.canvas(), panel, shown.picture[i]);
    const std::int64_t n = side.size(0);
    for (std::int64_t p = 0; p < n; ++p)
      if (side[p].item<float>() > 0.5f)
        tint(sheet.canvas(), patch_box(panel, p, n / shown.columns, shown.columns), colour,
             strength);
  }

  Figure rollout() const {
    const std::string title = "Attention rollout";
    Panels sheet = panels(title, input_and_models({kScale}));
    for (std::size_t m = 0; m < shown_.size(); ++m) {
      const at::Tensor maps = min_max(attention_rollout(shown_[m].attention, shown_[m].prefix));
      for (std::int64_t i = 0; i < images_; ++i) {
        draw_picture(sheet.canvas(), sheet.place(i, 0), shown_.front().picture[i]);
        draw_picture(sheet.canvas(), sheet.place(i, m + 1), shown_[m].picture[i]);
        draw_patch_map(sheet.canvas(), sheet.place(i, m + 1), maps[i], shown_[m].columns, 0.8);
      }
    }
    return {"rollout.png", title, "",
            "Which patches CLS after the last block comes from, each panel scaled to its own "
            "lowest and highest value.",
            sheet.take()};
  }

  Figure errors() const {
    const std::string title = "Reconstruction error";
    std::vector<Column> columns = input_and_models({kScale});
    columns.insert(columns.begin() + 1, {"seen", {{Key::filled, masked_colour, "hidden"}}});
    Panels sheet = panels(title, columns);
    std::vector<std::int64_t> index(images_);
    std::iota(index.begin(), index.end(), 0);
    std::vector<at::Tensor> error;
    at::Tensor mask;
    for (const Shown& shown : shown_) {
      const MaeConfig& config = shown.subject->mae->config();
      const MaskPlan plan =
          random_plan(index, config.n_patches(),
                      visible_count(config.n_patches(), options_.mask_ratio), options_.seed, 0);
      mask = mask_of(plan);
      // In pixels, so that models with and without norm_pix_loss are on one scale.
      const at::Tensor restored = reconstruction(*shown.subject->mae, shown.pixels, plan);
      error.push_back(patchify(restored - shown.pixels, config.patch_size).square().mean(-1));
    }
    for (std::int64_t i = 0; i < images_; ++i) {
      float highest = 1e-12f;
      for (const at::Tensor& e : error) highest = std::max(highest, e[i].max().item<float>());
      draw_picture(sheet.canvas(), sheet.place(i, 0), shown_.front().picture[i]);
      draw_side(sheet, i, 1, shown_.front(), i, mask[i], masked_colour, 1);
      for (std::size_t m = 0; m < shown_.size(); ++m)
        draw_patch_map(sheet.canvas(), sheet.place(i, m + 2), (error[m][i] / highest).sqrt(),
                       shown_[m].columns, 1);
    }
    return {"error.png", title, "",
            "Root mean square error of each masked patch in normalised pixels, on one scale per "
            "image; visible patches are dark. A model of normalised patches gets each patch's true "
            "mean and deviation back.",
            sheet.take()};
  }

  std::vector<Shown> shown_;
  const SurveyOptions& options_;
  const FigureOptions& figures_;
  ImageSize panel_;
  std::int64_t images_ = 0;
};

}  // namespace

std::vector<std::size_t> spread_evenly(std::size_t n, std::size_t count) {
  count = std::min(n, std::max<std::size_t>(count, 1));
  std::vector<std::size_t> chosen;
  for (std::size_t i = 0; i < count; ++i)
    chosen.push_back(count == 1 ? n - 1 : (i * (n - 1) + (count - 1) / 2) / (count - 1));
  return chosen;
}

std::vector<Figure> analysis_figures(const std::vector<Subject>& subjects, const at::Tensor& images,
                                     const SurveyOptions& options, const FigureOptions& figures) {
  SGMAE_ASSERT(!subjects.empty() && images.dim() == 4);
  check(figures.clusters >= 2, ExitCode::usage, "clusters must be at least 2");
  std::vector<Shown> shown;
  for (const std::size_t m :
       spread_evenly(subjects.size(), static_cast<std::size_t>(figures.models)))
    shown.push_back(show(subjects[m],
                         renormalised(images.slice(0, 0, figures.images),
                                      subjects.front().normalisation, subjects[m].normalisation),
                         options));
  return Figures(std::move(shown), options, figures).all();
}

}  // namespace sgmae
