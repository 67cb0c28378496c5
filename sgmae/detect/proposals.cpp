#include "sgmae/detect/proposals.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/l1_loss.h>
#include <ATen/ops/logical_and.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/smooth_l1_loss.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>

#include "sgmae/base/error.h"
#include "sgmae/detect/nms.h"
#include "sgmae/detect/pyramid.h"

namespace sgmae {

ProposalNetwork::ProposalNetwork(std::int64_t channels, std::int64_t convolutions,
                                 std::size_t shapes, LayerMaker make) {
  const std::string head = "proposal_generator.rpn_head.";
  const auto n = static_cast<std::int64_t>(shapes);
  for (std::int64_t i = 0; i < convolutions; ++i)  // a single one is not numbered
    convolutions_.push_back(
        make.convolution(convolutions == 1 ? head + "conv" : str(head, "conv.conv", i), channels,
                         channels, 3, false, Fill::small));
  objectness_ = make.convolution(head + "objectness_logits", channels, n, 1, false, Fill::small);
  deltas_ = make.convolution(head + "anchor_deltas", channels, 4 * n, 1, false, Fill::small);
}

AnchorScores ProposalNetwork::forward(const std::vector<at::Tensor>& levels,
                                      std::int64_t patch_size, const AnchorShapes& shapes,
                                      at::ScalarType type) const {
  std::vector<at::Tensor> objectness, deltas, all_anchors;
  AnchorScores scores;
  for (std::size_t level = 0; level < levels.size(); ++level) {
    at::Tensor x = levels[level];
    for (const Convolution& convolution : convolutions_) x = at::relu(convolution.forward(x, type));
    // Cells row by row, shapes innermost.
    const auto flat = [&](const Convolution& head, at::IntArrayRef shape) {
      return head.forward(x, type).permute({0, 2, 3, 1}).to(at::kFloat).reshape(shape);
    };
    objectness.push_back(flat(objectness_, {-1}));
    deltas.push_back(flat(deltas_, {-1, 4}));
    all_anchors.push_back(anchors({x.size(2), x.size(3)},
                                  FeaturePyramid::stride(static_cast<int>(level), patch_size),
                                  shapes, x.device()));
    scores.of_level.push_back(objectness.back().size(0));
  }
  scores.objectness = at::cat(objectness);
  scores.deltas = at::cat(deltas);
  scores.anchors = at::cat(all_anchors);
  return scores;
}

at::Tensor proposals(const AnchorScores& scores, std::int64_t height, std::int64_t width,
                     const ProposalConfig& config, bool training) {
  const at::NoGradGuard no_grad;
  const std::int64_t most = training ? config.before_nms_training : config.before_nms;
  std::vector<at::Tensor> boxes, logits, levels;
  std::int64_t first = 0;
  for (std::size_t level = 0; level < scores.of_level.size(); ++level) {
    const std::int64_t n = scores.of_level[level];
    const auto [best, where] = scores.objectness.narrow(0, first, n).topk(std::min(most, n));
    const auto of_best = [&](const at::Tensor& all) {
      return all.narrow(0, first, n).index_select(0, where);
    };
    boxes.push_back(
        clip(BoxCoding{}.decode(of_best(scores.deltas), of_best(scores.anchors)), height, width));
    logits.push_back(best);
    levels.push_back(at::full({where.size(0)}, static_cast<std::int64_t>(level), where.options()));
    first += n;
  }
  const at::Tensor all_boxes = at::cat(boxes), all_logits = at::cat(logits);
  constexpr double smallest_side = 1e-3;  // pixels
  const at::Tensor usable =
      has_sides(all_boxes, smallest_side).logical_and_(all_logits.isfinite()).nonzero().view({-1});
  const at::Tensor kept_boxes = all_boxes.index_select(0, usable);
  const at::Tensor kept = nms_in_groups(kept_boxes, all_logits.index_select(0, usable),
                                        at::cat(levels).index_select(0, usable), config.nms);
  return kept_boxes.index_select(0, kept.slice(0, 0, config.after_nms));
}

at::Tensor match_candidates(const at::Tensor& boxes, const at::Tensor& objects,
                            const at::Tensor& crowds, const Thresholds& thresholds) {
  at::Tensor matched = match(objects, boxes, thresholds);
  if (crowds.size(0) > 0) {
    const at::Tensor covered = std::get<0>(coverage(boxes, crowds).max(1)).ge(in_a_crowd);
    matched = matched.masked_fill(covered.logical_and(matched.eq(background)), undecided);
  }
  return matched;
}

at::Tensor smooth_l1_sum(const at::Tensor& x, const at::Tensor& y, double turn) {
  return turn > 0 ? at::smooth_l1_loss(x, y, at::Reduction::Sum, turn)
                  : at::l1_loss(x, y, at::Reduction::Sum);
}

ProposalLoss proposal_loss(const AnchorScores& scores, const at::Tensor& objects,
                           const at::Tensor& crowds, const ProposalConfig& config,
                           const Draw& draw) {
  const at::Tensor matched = match_candidates(scores.anchors, objects, crowds, config.matching);
  const auto [positives, negatives] = sample(matched, config.samples, config.positives, draw);
  const at::Tensor drawn = at::cat({positives, negatives});
  const at::Tensor truth =
      at::cat({at::ones_like(positives, at::kFloat), at::zeros_like(negatives, at::kFloat)});
  ProposalLoss loss;
  loss.anchors = drawn.size(0);
  loss.objectness = at::binary_cross_entropy_with_logits(scores.objectness.index_select(0, drawn),
                                                         truth, {}, {}, at::Reduction::Sum);
  const at::Tensor references = scores.anchors.index_select(0, positives);
  const at::Tensor boxes = objects.index_select(0, matched.index_select(0, positives));
  loss.box = smooth_l1_sum(scores.deltas.index_select(0, positives),
                           BoxCoding{}.encode(boxes, references), config.smooth_l1);
  return loss;
}

}  // namespace sgmae
