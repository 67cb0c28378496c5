// The loss of segmentation: cross-entropy of every pixel.
#pragma once

#include <ATen/core/Tensor.h>

namespace sgmae {

struct PixelLoss {
  at::Tensor loss;      // 0-dim fp32, under autograd
  at::Tensor accuracy;  // 0-dim fp32: share of labelled pixels whose largest logit is their label's
};

// logits [B, classes, h, w] in any type, brought bilinearly (align_corners false, in fp32) to the
// size of labels [B, H, W] uint8: the mean over pixels that are not unlabelled_pixel; 0, without
// gradients, where there is none. On a CPU logits of whole images never exist at that size. Throws
// Error(data) for labels that are no class.
PixelLoss pixel_loss(const at::Tensor& logits, const at::Tensor& labels);

}  // namespace sgmae
