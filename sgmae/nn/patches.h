// Between images and tokens: cutting patches, placing tokens, and the reconstruction loss.
// `order` [B, N] int64 lists patch positions, visible first (MaskPlan). Token tensors are flattened
// to [B*n, D]; with CLS, it is row 0 of each image. All tensors of a call lie on one device.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace sgmae {

// The visible patches of pixels [B, C, H, W] -> [B*n_visible, C*p*p] in the order channel, row,
// column of a convolution kernel, as activations of `type`.
at::Tensor gather_patches(const at::Tensor& pixels, const at::Tensor& order, std::int64_t n_visible,
                          std::int64_t patch_size, at::ScalarType type);

// The inverse for gradients: patches [B*n_visible, C*p*p] -> [B, channels, height, width] fp32,
// zero where a patch is not visible.
at::Tensor gather_patches_backward(const at::Tensor& patches, const at::Tensor& order,
                                   std::int64_t n_visible, std::int64_t channels,
                                   std::int64_t height, std::int64_t width);

// embedded [B*n_visible, D] activations + position, CLS in front -> [B*(1+n_visible), D] fp32.
at::Tensor embed_tokens(const at::Tensor& embedded, const at::Tensor& order, std::int64_t n_visible,
                        const at::Tensor& cls_token, const at::Tensor& pos_embed);

// The inverse for gradients: adds CLS rows of dx to cls_grad, returns the others [B*n_visible, D].
at::Tensor embed_tokens_backward(const at::Tensor& dx, std::int64_t batch, at::Tensor& cls_grad);

// Decoder input: encoded tokens [B*(1+n_visible), D] activations back at their places, the mask
// token elsewhere, + position -> [B*(1+N), D] fp32.
at::Tensor restore_tokens(const at::Tensor& encoded, const at::Tensor& order,
                          std::int64_t n_visible, const at::Tensor& mask_token,
                          const at::Tensor& pos_embed);

// The same for training, where places are told by position embeddings alone: tokens stay in the
// order of the plan, class token, visible, masked -> [B*(1+n_visible+n_masked), D] fp32. `masked`
// [B, n_masked] are positions, contiguous (MaskPlan::masked), here and below.
at::Tensor append_mask_tokens(const at::Tensor& encoded, const at::Tensor& order,
                              const at::Tensor& masked, const at::Tensor& mask_token,
                              const at::Tensor& pos_embed);

// Gradient of the above: mask rows of dx are added to mask_grad, the others returned.
at::Tensor append_mask_tokens_backward(const at::Tensor& dx, std::int64_t batch,
                                       std::int64_t n_masked, at::Tensor& mask_grad);

// The last n_masked rows of each image of x [B*n, D] -> [B*n_masked, D]; and back, zeros elsewhere.
at::Tensor last_rows(const at::Tensor& x, std::int64_t batch, std::int64_t n_masked);
at::Tensor put_last_rows(const at::Tensor& rows, std::int64_t batch, std::int64_t n);

struct MaeLoss {         // where the tensors are: reading it waits for the device
  at::Tensor mean;       // [] fp64
  at::Tensor per_patch;  // [B, n_masked] fp32, whose mean it is, in the order of the plan
};

// Mean squared error over masked patches and their pixels (MAE, section 3). pred [B*n_masked,
// p*p*C] in the order row, column, channel; with norm_pix_loss the target is each patch less its
// mean over its deviation (unbiased variance + 1e-6). With dpred: dpred = loss_scale * d loss / d
// pred, in pred's type.
MaeLoss reconstruction_loss(const at::Tensor& pixels, const at::Tensor& pred,
                            const at::Tensor& masked, std::int64_t patch_size, bool norm_pix_loss,
                            double loss_scale, at::Tensor* dpred);

// The way of that loss to the pixels through its target: loss_scale * d loss / d pixels
// [B, C, H, W] with pred held fast; zero where a patch is not masked.
at::Tensor reconstruction_target_backward(const at::Tensor& pixels, const at::Tensor& pred,
                                          const at::Tensor& masked, std::int64_t patch_size,
                                          bool norm_pix_loss, double loss_scale);

// The rows of `positions` [B, k] of x [B*N, D] -> [B*k, D].
at::Tensor rows_at(const at::Tensor& x, const at::Tensor& positions);

// All patches of pixels [B, C, H, W] -> [B, N, p*p*C], pixel order row, column, channel; and back.
at::Tensor patchify(const at::Tensor& pixels, std::int64_t patch_size);
at::Tensor unpatchify(const at::Tensor& patches, std::int64_t channels, std::int64_t height,
                      std::int64_t width);

}  // namespace sgmae
