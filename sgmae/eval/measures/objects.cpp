// Guidance held against objects that are known: relevance, the side called object by every rule,
// and masks, of every encoder block and of the maps that training stored (Figs. II, VIII).
#include <ATen/TensorOperators.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "sgmae/analysis/coverage.h"
#include "sgmae/eval/measure.h"
#include "sgmae/mask/guided_planner.h"
#include "sgmae/mask/informed.h"
#include "sgmae/mask/patch_error.h"
#include "sgmae/mask/strategy.h"
#include "sgmae/ncut/relevance.h"

namespace sgmae::measure {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

using Covers = std::vector<std::vector<float>>;  // Scene::covers()

template <class T>
std::span<const T> row(const at::Tensor& tensor, std::size_t image) {
  const auto n = static_cast<std::size_t>(tensor.size(1));
  return {tensor.data_ptr<T>() + image * n, n};
}

// per_image(i) of every image with objects.
template <class F>
at::Tensor of_images(const Covers& covers, F per_image) {
  std::vector<double> values;
  for (std::size_t i = 0; i < covers.size(); ++i)
    if (!covers[i].empty()) values.push_back(per_image(i));
  return at::tensor(values, at::kDouble);
}

at::Tensor auc_of(const Covers& covers, const at::Tensor& relevance) {
  const at::Tensor values = relevance.contiguous();
  return of_images(covers,
                   [&](std::size_t i) { return relevance_auc(row<float>(values, i), covers[i]); });
}

// Masks as training makes them in its first guided epoch.
struct Masks {
  at::Tensor informed, random;  // [B, N] fp32: 1 masked
};

Masks masks_of(const Scene& scene, const at::Tensor& relevance) {
  const std::int64_t n = relevance.size(1);
  const std::int64_t n_visible = visible_count(n, scene.options.mask_ratio);
  const std::vector<std::int64_t> index(scene.index.begin(), scene.index.end());
  return {mask_of(informed_plan(
              relevance, index,
              {.n_visible = n_visible,
               .n_hints =
                   std::min(n_visible, hint_count({.ratio = scene.options.hint_ratio}, n, 0, 0, 1)),
               .seed = scene.options.seed})),
          mask_of(random_plan(index, n, n_visible, scene.options.seed, 0))};
}

at::Tensor hidden_by(const at::Tensor& mask, const Covers& covers) {
  return of_images(covers,
                   [&](std::size_t i) { return hidden_share(row<float>(mask, i), covers[i]); });
}

bool meets_an_object(const GridBox& found, const std::vector<GridBox>& boxes, double rows,
                     double columns) {
  const GridBox seen{found.left / columns, found.top / rows, found.right / columns,
                     found.bottom / rows};
  return std::any_of(boxes.begin(), boxes.end(),
                     [&](const GridBox& box) { return box_iou(seen, box) > 0.5; });
}

// What a rule makes of a block: relevance [B, N] fp32 and the object side [B, N] uint8.
struct Found {
  at::Tensor relevance, side;
};

Found find(const BlockView& block, ObjectRule rule) {
  const Scene& scene = block.scene;
  if (rule == ObjectRule::hardest) {
    const Guide guide = guide_to_hardest(block.centred(), scene.errors());
    return {guide.relevance, guide.object_side};
  }
  const VitConfig& config = scene.subject.encoder->config();
  const GuideOptions options{.object = rule};
  const at::Tensor evidence = asks_for_error(rule)
                                  ? scene.errors()
                                  : object_evidence(*scene.subject.encoder, scene.pixels, options);
  Bipartition cut = block.cut();
  take_object_side(cut, block.centred_similarity(), config.grid_width(), options, evidence);
  return {relevance(block.centred(), cut.object_side), cut.object_side};
}

at::Tensor iou_of(const Covers& covers, const at::Tensor& side) {
  const at::Tensor values = side.contiguous();
  return of_images(covers, [&](std::size_t i) {
    const std::span<const std::uint8_t> patches = row<std::uint8_t>(values, i);
    const bool found = std::any_of(patches.begin(), patches.end(), [](auto p) { return p != 0; });
    return found ? side_iou(patches, covers[i]) : kNone;
  });
}

// Masks and boxes by the rule that the options ask for.
void report_masks(const BlockView& block, const Found& found, const Covers& covers) {
  const VitConfig& config = block.scene.subject.encoder->config();
  const double rows = static_cast<double>(config.grid_height());
  const std::int64_t columns = config.grid_width();
  const Masks masks = masks_of(block.scene, found.relevance);
  block.add("hidden_share", "informed mask", hidden_by(masks.informed, covers));
  block.add("hidden_share", "random mask", hidden_by(masks.random, covers));
  const at::Tensor side = found.side.contiguous(), seed = found.relevance.argmax(1);
  block.add("corloc", "", of_images(covers, [&](std::size_t i) {
              const auto box =
                  seed_box(row<std::uint8_t>(side, i),
                           seed[static_cast<std::int64_t>(i)].item<std::int64_t>(), columns);
              return box && meets_an_object(*box, block.scene.objects[i]->boxes, rows,
                                            static_cast<double>(columns))
                         ? 1.0
                         : 0.0;
            }));
}

void see(const BlockView& block) {
  if (block.part != "encoder") return;
  const Scene& scene = block.scene;
  const Covers& covers = scene.covers();
  for (const auto& [name, rule] : object_rules()) {
    if (asks_for_error(rule) && !scene.subject.mae) continue;
    const Found found = find(block, rule);
    const at::Tensor other_side = 1 - found.side;
    const at::Tensor iou = iou_of(covers, found.side), other_iou = iou_of(covers, other_side);
    const at::Tensor auc = auc_of(covers, found.relevance);
    const bool chosen = rule == object_rule_for(scene.subject, scene.options);
    std::vector<std::string> suffixes{"_by_rule"};
    if (chosen) suffixes.push_back("");
    for (const std::string& suffix : suffixes) {
      block.add("relevance_auc" + suffix, name, auc);
      block.add("object_iou" + suffix, name, iou);
      block.add("wrong_side" + suffix, name,
                (other_iou > iou).to(at::kDouble).masked_fill(iou.isnan(), kNone));
      // How much more often than by chance an image and the one before it have their object at the
      // same places. The mean over images is that of PositionBias::value().
      at::Tensor places = found.side.to(at::kDouble);
      places = places - places.mean(1, /*keepdim=*/true);
      block.add_pairs("position_bias" + suffix, name, places,
                      [places](const at::Tensor& before) { return (places * before).mean(1); });
    }
    if (chosen) {
      block.add_pairs("relevance_auc", "map of another image", found.relevance,
                      [covers](const at::Tensor& before) { return auc_of(covers, before); });
      report_masks(block, found, covers);
    }
    if (rule == ObjectRule::eigenvector) {  // if one knew
      block.add(
          "relevance_auc", "better side of the cut",
          at::where(iou >= other_iou, auc, auc_of(covers, relevance(block.centred(), other_side))));
      block.add("object_iou", "better side of the cut", at::maximum(iou, other_iou));
    }
  }
}

// Without features, and of the maps that training stored.
void see_scene(const Scene& scene) {
  const Covers& covers = scene.covers();
  const auto add = [&](const char* metric, const char* label, std::int64_t epoch,
                       const at::Tensor& values) {
    scene.table.add({.metric = metric, .model = scene.subject.last_of_run, .label = label},
                    static_cast<double>(epoch), values);
  };
  const std::int64_t epoch = scene.subject.epoch.value_or(0);
  if (scene.subject.mae)
    add("patch_auc", "reconstruction error", epoch, auc_of(covers, scene.errors()));
  add("patch_auc", "pixel variance", epoch,
      auc_of(covers, patch_variance(scene.pixels, scene.subject.encoder->config().patch_size)));
  for (const StoredRelevance& maps : scene.stored) {
    if (maps.model != scene.model) continue;
    const Masks masks = masks_of(scene, maps.relevance);
    add("stored_auc", "", maps.epoch, auc_of(covers, maps.relevance));
    add("stored_hidden_share", "informed mask", maps.epoch, hidden_by(masks.informed, covers));
    add("stored_hidden_share", "random mask", maps.epoch, hidden_by(masks.random, covers));
  }
}

}  // namespace

Measure objects() {
  const std::vector<std::string> by_label{"label"};
  const std::string auc = "Area under the ROC curve of relevance for the objects' patches",
                    iou = "Overlap of the object side with the objects",
                    wrong = "Images in which the other side overlaps the objects more",
                    places = "How much object sides of different images lie at the same places";
  const std::string good_auc =
                        "Good: far above 0.5, which is chance, and above 'map of another image', "
                        "which is what position alone gives. 1: every object is found.",
                    good_iou = "Good: near 1, and near 'better side of the cut'.",
                    good_side = "Good: near 0. At 0.5 the side is a coin flip.",
                    good_places =
                        "Good: near 0. High: the same places are called object in every image.",
                    good_hidden =
                        "Good: the informed mask hides more of the objects than a random one.";
  return {
      .order = 120,
      .summary = "guidance and masks beside objects that are known, by every rule",
      .needs_objects = true,
      .cuts = true,
      .charts =
          {along_training({"relevance_auc", auc, "", good_auc, "AUC", by_label}),
           along_training({"object_iou", iou, "Fig. II", good_iou, "IoU", by_label}),
           along_training({"wrong_side", wrong, "", good_side, "share of images", by_label}),
           along_training(
               may_be_negative({"position_bias", places, "", good_places, "variance", by_label})),
           {"relevance_auc_by_rule", auc + ", by rule", "", good_auc, "AUC", by_label},
           {"object_iou_by_rule", iou + ", by rule", "Fig. II", good_iou, "IoU", by_label},
           {"wrong_side_by_rule", wrong + ", by rule", "", good_side, "share of images", by_label},
           may_be_negative({"position_bias_by_rule", places + ", by rule", "", good_places,
                            "variance", by_label}),
           along_training({"corloc",
                           "Images whose seed component's box meets an object's with IoU > 0.5",
                           "Fig. II", "Good: high.", "share of images"}),
           along_training({"hidden_share", "Share of the objects' area that the mask hides",
                           "Fig. VIII", good_hidden, "share", by_label}),
           {"patch_auc", "Area under the ROC curve without features", "",
            "What guidance must beat: no feature of the model is in it.", "AUC", by_label, "epoch"},
           {"stored_auc",
            "Area under the ROC curve of the relevance maps that trained",
            "",
            good_auc,
            "AUC",
            {},
            "epoch"},
           {"stored_hidden_share", "Share of the objects' area that masks of the stored maps hide",
            "Fig. VIII", good_hidden, "share", by_label, "epoch"}},
      .taps = {"features"},
      .see = see,
      .see_scene = see_scene};
}

}  // namespace sgmae::measure
