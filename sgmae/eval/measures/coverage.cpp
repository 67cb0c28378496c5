// How the cut of each block, and masks, meet objects that people marked (Figs. II, VIII).
#include "sgmae/analysis/coverage.h"

#include <ATen/ops/tensor.h>

#include <algorithm>
#include <vector>

#include "sgmae/eval/measure.h"
#include "sgmae/mask/informed.h"
#include "sgmae/mask/strategy.h"

namespace sgmae::measure {
namespace {

bool meets_an_object(const GridBox& found, const std::vector<GridBox>& boxes, double rows,
                     double columns) {
  const GridBox seen{found.left / columns, found.top / rows, found.right / columns,
                     found.bottom / rows};
  return std::any_of(boxes.begin(), boxes.end(),
                     [&](const GridBox& box) { return box_iou(seen, box) > 0.5; });
}

void see(const BlockView& block) {
  const Scene& scene = block.scene;
  const VitConfig& config = scene.subject.encoder->config();
  const std::int64_t rows = config.grid_height(), columns = config.grid_width();
  const std::int64_t n = rows * columns;
  const std::int64_t n_visible = visible_count(n, scene.options.mask_ratio);
  const std::int64_t hints =
      std::min(n_visible, hint_count({.ratio = scene.options.hint_ratio}, n, 0, 0, 1));
  const MaskPlan random =
      random_plan({scene.index.begin(), scene.index.end()}, n, n_visible, scene.options.seed, 0);
  MaskPlan informed{random.order.clone(), n_visible};
  const Guide& guide = block.cut();
  const at::Tensor relevance = guide.relevance.contiguous();
  const auto row = [n]<class T>(T* data, std::size_t image) {
    return std::span<T>(data + static_cast<std::int64_t>(image) * n, static_cast<std::size_t>(n));
  };
  for (std::size_t i = 0; i < scene.objects.size(); ++i)
    if (!guide.degenerate[i])
      informed_order(
          row(relevance.data_ptr<float>(), i), n_visible, hints, HintStrategy::random,
          GuideTarget::object,
          Rng(scene.options.seed, 0, static_cast<std::uint64_t>(scene.index[i]), Purpose::hint),
          row(informed.order.data_ptr<std::int64_t>(), i));

  const at::Tensor informed_mask = mask_of(informed), random_mask = mask_of(random);
  std::vector<double> iou, found, hidden, hidden_at_random;
  for (std::size_t i = 0; i < scene.objects.size(); ++i) {
    if (!scene.objects[i]) continue;
    const std::vector<float> cover = object_cover(*scene.objects[i], rows, columns);
    hidden.push_back(hidden_share(row(informed_mask.data_ptr<float>(), i), cover));
    hidden_at_random.push_back(hidden_share(row(random_mask.data_ptr<float>(), i), cover));
    const auto side = row(guide.object_side.data_ptr<std::uint8_t>(), i);
    iou.push_back(side_iou(side, cover));
    const at::Tensor vector = guide.eigenvector.select(0, static_cast<std::int64_t>(i));
    const auto box = seed_box(side, vector.argmax().item<std::int64_t>(), columns);
    found.push_back(box && meets_an_object(*box, scene.objects[i]->boxes, static_cast<double>(rows),
                                           static_cast<double>(columns)));
  }
  const auto add = [&](const char* metric, const char* label, const std::vector<double>& values) {
    block.add(metric, label, at::tensor(values, at::kDouble));
  };
  add("object_iou", "", iou);
  add("corloc", "", found);
  add("hidden_share", "informed mask", hidden);
  add("hidden_share", "random mask", hidden_at_random);
}

}  // namespace

Measure coverage() {
  return {
      .order = 120,
      .summary = "how cut and masks meet objects that people marked",
      .needs_objects = true,
      .cuts = true,
      .charts = {along_training({"object_iou", "Overlap of the object side with the marked objects",
                                 "Fig. II", "IoU"}),
                 along_training({"corloc",
                                 "Images whose seed component's box meets an object's with IoU "
                                 "> 0.5",
                                 "Fig. II", "share of images"}),
                 along_training({"hidden_share",
                                 "Share of the objects' area that the mask hides",
                                 "Fig. VIII",
                                 "share",
                                 {"label"}})},
      .taps = {"features"},
      .see = see};
}

}  // namespace sgmae::measure
