// InfoNCE (van den Oord et al. 2018): each query is to know its key among those of all images.
#pragma once

#include <ATen/core/Tensor.h>

namespace sgmae {

struct ContrastiveLoss {
  at::Tensor mean;   // 0-dim fp32
  at::Tensor right;  // 0-dim fp32: share of queries to which their own key is the most similar one
};

// queries and keys [n, d] of the same n images in two views, any type, as many in every process:
//   mean = 2 t * mean over i of -log softmax_j(cos(q_i, k_j) / t)[j = i],   t = temperature
// where j counts the images of all processes, whose keys are gathered (a collective). Computed in
// fp32, under autograd for the queries where gradients are recorded.
ContrastiveLoss contrastive_loss(const at::Tensor& queries, const at::Tensor& keys,
                                 double temperature);

}  // namespace sgmae
