// The region proposal network (Ren et al. 2015, section 3) on the pyramid: where there may be
// objects, whatever they are.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "sgmae/dense/layers.h"
#include "sgmae/detect/config.h"

namespace sgmae {

// What the network says of the anchors of an image, all levels behind one another, finest first.
struct AnchorScores {
  at::Tensor objectness;               // [n] fp32 logits
  at::Tensor deltas;                   // [n, 4] fp32
  at::Tensor anchors;                  // [n, 4]
  std::vector<std::int64_t> of_level;  // how many there are
};

class ProposalNetwork {
 public:
  ProposalNetwork(std::int64_t channels, std::int64_t convolutions, std::size_t shapes,
                  LayerMaker make);

  // levels: p2 to p6 [1, C, H, W] of one image.
  AnchorScores forward(const std::vector<at::Tensor>& levels, std::int64_t patch_size,
                       const AnchorShapes& shapes, at::ScalarType type) const;

 private:
  std::vector<Convolution> convolutions_;
  Convolution objectness_, deltas_;
};

// The boxes that are worth a look, best first: [n, 4] within the image of `height` x `width`
// pixels. No gradient.
at::Tensor proposals(const AnchorScores& scores, std::int64_t height, std::int64_t width,
                     const ProposalConfig& config, bool training);

// What anchors, or proposals, [n, 4] stand for (match), with crowds left undecided.
at::Tensor match_candidates(const at::Tensor& boxes, const at::Tensor& objects,
                            const at::Tensor& crowds, const Thresholds& thresholds);

// Sums over the anchors that were drawn; to be divided by their number over all images.
struct ProposalLoss {
  at::Tensor objectness, box;  // 0-dim
  std::int64_t anchors = 0;
};

// objects, crowds [., 4] lie on the device of the scores.
ProposalLoss proposal_loss(const AnchorScores& scores, const at::Tensor& objects,
                           const at::Tensor& crowds, const ProposalConfig& config,
                           const Draw& draw);

// Sum of smooth_l1(x - y) with this turning point; 0: of |x - y|.
at::Tensor smooth_l1_sum(const at::Tensor& x, const at::Tensor& y, double turn);

}  // namespace sgmae
