#include "sgmae/detect/roi_heads.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/full.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>

#include "sgmae/base/error.h"
#include "sgmae/detect/nms.h"
#include "sgmae/detect/proposals.h"
#include "sgmae/detect/pyramid.h"
#include "sgmae/detect/roi_align.h"

namespace sgmae {
namespace {

std::vector<Convolution> stack_of(LayerMaker& make, const std::string& name, std::int64_t count,
                                  std::int64_t channels) {
  std::vector<Convolution> convolutions;
  for (std::int64_t i = 1; i <= count; ++i)
    convolutions.push_back(
        make.convolution(str(name, i), channels, channels, 3, /*norm=*/true, Fill::relu));
  return convolutions;
}

at::Tensor through(const std::vector<Convolution>& convolutions, at::Tensor x,
                   at::ScalarType type) {
  for (const Convolution& convolution : convolutions) x = at::relu(convolution.forward(x, type));
  return x;
}

// Of x [n, classes, ...] those of each row's class.
at::Tensor of_class(const at::Tensor& x, const at::Tensor& labels) {
  const at::Tensor rows = at::arange(x.size(0), labels.options());
  return x.index({rows, labels});
}

}  // namespace

at::Tensor level_of(const at::Tensor& boxes, std::int64_t patch_size) {
  constexpr double epsilon = 1e-8;  // a box without area
  return area(boxes)
      .sqrt_()
      .div_(14.0 * static_cast<double>(patch_size))
      .add_(epsilon)
      .log2_()
      .add_(2)
      .floor_()
      .clamp_(0, 3)
      .to(at::kLong);
}

at::Tensor pool_boxes(const std::vector<at::Tensor>& levels, const at::Tensor& boxes,
                      std::int64_t patch_size, std::int64_t cells, std::int64_t samples) {
  const at::Tensor level = level_of(boxes, patch_size);
  std::vector<at::Tensor> pooled, places;
  for (int i = 0; i < 4; ++i) {
    const at::Tensor own = level.eq(i).nonzero().view({-1});
    const RoiAlign align{
        .size = cells, .scale = 1 / FeaturePyramid::stride(i, patch_size), .samples = samples};
    pooled.push_back(align(levels[static_cast<std::size_t>(i)][0], boxes.index_select(0, own)));
    places.push_back(own);
  }
  // Back into the boxes' order.
  const at::Tensor order = at::cat(places).argsort();
  return at::cat(pooled).index_select(0, order);
}

BoxHead::BoxHead(const MaskRcnnConfig& c, LayerMaker make)
    : convolutions_(stack_of(make, "roi_heads.box_head.conv", c.box_convs, c.channels)),
      hidden_(make.dense("roi_heads.box_head.fc1", c.channels * c.rois.box_cells * c.rois.box_cells,
                         c.box_hidden, Fill::xavier)),
      scores_(make.dense("roi_heads.box_predictor.cls_score", c.box_hidden, c.classes + 1,
                         Fill::small)),
      deltas_(make.dense("roi_heads.box_predictor.bbox_pred", c.box_hidden, 4 * c.classes,
                         Fill::smaller)) {}

BoxHead::Output BoxHead::forward(const at::Tensor& pooled, at::ScalarType type) const {
  const at::Tensor flat = through(convolutions_, pooled, type).flatten(1);
  const at::Tensor hidden = at::relu(hidden_.forward(flat, type));
  return {scores_.forward(hidden, type).to(at::kFloat),
          deltas_.forward(hidden, type).to(at::kFloat)};
}

MaskHead::MaskHead(const MaskRcnnConfig& c, LayerMaker make)
    : convolutions_(stack_of(make, "roi_heads.mask_head.mask_fcn", c.mask_convs, c.channels)),
      doubling_(make.doubling("roi_heads.mask_head.deconv", c.channels, c.channels, Fill::relu)),
      predictor_(make.convolution("roi_heads.mask_head.predictor", c.channels, c.classes, 1,
                                  /*norm=*/false, Fill::smaller)) {}

at::Tensor MaskHead::forward(const at::Tensor& pooled, at::ScalarType type) const {
  const at::Tensor doubled =
      at::relu(doubling_.forward(through(convolutions_, pooled, type), type));
  return predictor_.forward(doubled, type).to(at::kFloat);
}

TrainingBoxes training_boxes(const at::Tensor& proposals, const at::Tensor& objects,
                             const at::Tensor& labels, const at::Tensor& crowds,
                             std::int64_t classes, const RoiConfig& config, const Draw& draw) {
  constexpr std::int64_t most_objects =
      2000;  // more are nothing that anybody would learn one by one
  const at::Tensor boxes = at::cat({proposals, objects.slice(0, 0, most_objects)});
  const at::Tensor matched = match_candidates(boxes, objects, crowds, config.matching);
  const auto [positives, negatives] = sample(matched, config.samples, config.positives, draw);
  TrainingBoxes result;
  result.boxes = boxes.index_select(0, at::cat({positives, negatives}));
  result.objects = matched.index_select(0, positives);
  result.labels = at::cat({labels.index_select(0, result.objects),
                           at::full({negatives.size(0)}, classes, labels.options())});
  return result;
}

BoxLoss box_loss(const BoxHead::Output& output, const at::Tensor& labels, const at::Tensor& targets,
                 const RoiConfig& config) {
  const std::int64_t n = labels.size(0), classes = output.scores.size(1) - 1;
  if (n == 0) return {output.scores.sum(), output.deltas.sum()};  // 0
  const at::Tensor positive = labels.lt(classes).nonzero().view({-1});
  const at::Tensor deltas = of_class(output.deltas.view({n, classes, 4}).index_select(0, positive),
                                     labels.index_select(0, positive));
  return {at::cross_entropy_loss(output.scores, labels),
          smooth_l1_sum(deltas, targets, config.smooth_l1).div(static_cast<double>(n))};
}

at::Tensor mask_loss(const at::Tensor& logits, const at::Tensor& labels,
                     const at::Tensor& targets) {
  if (logits.size(0) == 0) return logits.sum();  // 0
  return at::binary_cross_entropy_with_logits(of_class(logits, labels), targets);
}

FoundBoxes found_boxes(const BoxHead::Output& output, const at::Tensor& boxes, std::int64_t height,
                       std::int64_t width, const RoiConfig& config) {
  const std::int64_t n = boxes.size(0), classes = output.scores.size(1) - 1;
  const at::Tensor all_scores = at::softmax(output.scores, 1).narrow(1, 0, classes).reshape({-1});
  const at::Tensor all_boxes =
      clip(config.coding.decode(output.deltas, boxes).view({-1, 4}), height, width);
  const at::Tensor all_labels =
      at::arange(classes, boxes.options().dtype(at::kLong)).expand({n, classes}).reshape({-1});
  constexpr double smallest_side = 1e-2;  // pixels
  const at::Tensor usable = all_scores.gt(config.lowest_score)
                                .logical_and_(has_sides(all_boxes, smallest_side))
                                .nonzero()
                                .view({-1});
  const FoundBoxes candidates{all_boxes.index_select(0, usable), all_scores.index_select(0, usable),
                              all_labels.index_select(0, usable)};
  const at::Tensor kept =
      nms_in_groups(candidates.boxes, candidates.scores, candidates.labels, config.nms)
          .slice(0, 0, config.detections);
  return {candidates.boxes.index_select(0, kept), candidates.scores.index_select(0, kept),
          candidates.labels.index_select(0, kept)};
}

}  // namespace sgmae
