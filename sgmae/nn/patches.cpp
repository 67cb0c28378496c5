#include "sgmae/nn/patches.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/var_mean.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/nn/kernels/aten.h"
#include "sgmae/nn/share_out.h"

namespace sgmae {
namespace {

struct Grid {
  std::int64_t batch, channels, height, width, patch, cols, n;

  Grid(const at::Tensor& pixels, std::int64_t patch_size)
      : batch(pixels.size(0)),
        channels(pixels.size(1)),
        height(pixels.size(2)),
        width(pixels.size(3)),
        patch(patch_size),
        cols(width / patch),
        n(height / patch * cols) {}

  // First pixel of patch `position` of image b in channel c.
  const float* pixel(const float* pixels, std::int64_t b, std::int64_t c,
                     std::int64_t position) const {
    return pixels + ((b * channels + c) * height + position / cols * patch) * width +
           position % cols * patch;
  }
};

const std::int64_t* order_of(const at::Tensor& order) {
  SGMAE_ASSERT(order.is_contiguous() && order.scalar_type() == at::kLong);
  return order.data_ptr<std::int64_t>();
}

// Calls body(job) for 0 .. jobs-1.
template <class Body>
void for_each_job(std::int64_t jobs, Body body) {
  for_parts(jobs, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    for (std::int64_t job = begin; job < end; ++job) body(job);
  });
}

// patches [B*k, values] at positions [B, k] among the n of each image -> [B*n, values] fp32, zero
// elsewhere.
at::Tensor put_in_place(const at::Tensor& patches, const at::Tensor& positions, std::int64_t n) {
  const at::Tensor first = at::arange(positions.size(0), positions.options()).mul_(n);
  at::Tensor all =
      at::zeros({positions.size(0) * n, patches.size(1)}, patches.options().dtype(at::kFloat));
  return all.index_copy_(0, positions.add(first.unsqueeze(1)).reshape({-1}),
                         patches.to(at::kFloat));
}

// Rows [begin, begin + count) of each image, of x [B * n, D]. A single row of each would stay a
// view of all, which who reads plain memory must not see.
at::Tensor rows_of_each(const at::Tensor& x, std::int64_t batch, std::int64_t begin,
                        std::int64_t count) {
  return x.view({batch, -1, x.size(1)})
      .narrow(1, begin, count)
      .reshape({-1, x.size(1)})
      .contiguous();
}

}  // namespace

at::Tensor gather_patches(const at::Tensor& pixels, const at::Tensor& order, std::int64_t n_visible,
                          std::int64_t patch_size, at::ScalarType type) {
  if (!pixels.is_cpu()) return aten::gather_patches(pixels, order, n_visible, patch_size, type);
  const at::Tensor source = pixels.contiguous();
  const Grid grid(source, patch_size);
  const std::int64_t values = grid.channels * patch_size * patch_size;
  at::Tensor out = at::empty({grid.batch * n_visible, values}, at::kFloat);
  const float* from = source.data_ptr<float>();
  const std::int64_t* positions = order_of(order);
  for_each_job(grid.batch * n_visible, [&](std::int64_t job) {
    const std::int64_t b = job / n_visible;
    const std::int64_t position = positions[b * grid.n + job % n_visible];
    float* to = out.data_ptr<float>() + job * values;
    for (std::int64_t c = 0; c < grid.channels; ++c) {
      const float* row = grid.pixel(from, b, c, position);
      for (std::int64_t y = 0; y < patch_size; ++y, to += patch_size, row += grid.width)
        std::copy_n(row, patch_size, to);
    }
  });
  return out.to(type);
}

at::Tensor gather_patches_backward(const at::Tensor& patches, const at::Tensor& order,
                                   std::int64_t n_visible, std::int64_t channels,
                                   std::int64_t height, std::int64_t width) {
  const std::int64_t batch = order.size(0), n = order.size(1), values = patches.size(1);
  // Any order of the values within a patch will do for unpatchify, if it is put right before.
  return unpatchify(
      put_in_place(
          patches.view({-1, channels, values / channels}).transpose(1, 2).reshape({-1, values}),
          order.narrow(1, 0, n_visible), n)
          .view({batch, n, values}),
      channels, height, width);
}

at::Tensor embed_tokens(const at::Tensor& embedded, const at::Tensor& order, std::int64_t n_visible,
                        const at::Tensor& cls_token, const at::Tensor& pos_embed) {
  if (!embedded.is_cpu())
    return aten::embed_tokens(embedded, order, n_visible, cls_token, pos_embed);
  const std::int64_t batch = order.size(0), n = order.size(1), dim = embedded.size(1);
  const at::Tensor tokens = embedded.to(at::kFloat);
  at::Tensor x = at::empty({batch * (1 + n_visible), dim}, at::kFloat);
  const float *cls = cls_token.data_ptr<float>(), *pos = pos_embed.data_ptr<float>();
  const float* from = tokens.data_ptr<float>();
  const std::int64_t* positions = order_of(order);
  for_each_job(batch * (1 + n_visible), [&](std::int64_t job) {
    const std::int64_t b = job / (1 + n_visible), j = job % (1 + n_visible);
    const float* token = j == 0 ? cls : from + (b * n_visible + j - 1) * dim;
    const float* place = j == 0 ? pos : pos + (1 + positions[b * n + j - 1]) * dim;
    float* to = x.data_ptr<float>() + job * dim;
    for (std::int64_t i = 0; i < dim; ++i) to[i] = token[i] + place[i];
  });
  return x;
}

at::Tensor embed_tokens_backward(const at::Tensor& dx, std::int64_t batch, at::Tensor& cls_grad) {
  const std::int64_t dim = dx.size(1);
  const at::Tensor by_image = dx.view({batch, -1, dim});
  cls_grad.view({dim}).add_(by_image.select(1, 0).sum(0));
  return rows_of_each(dx, batch, 1, by_image.size(1) - 1);
}

at::Tensor restore_tokens(const at::Tensor& encoded, const at::Tensor& order,
                          std::int64_t n_visible, const at::Tensor& mask_token,
                          const at::Tensor& pos_embed) {
  if (!encoded.is_cpu())
    return aten::restore_tokens(encoded, order, n_visible, mask_token, pos_embed);
  const std::int64_t batch = order.size(0), n = order.size(1), dim = encoded.size(1);
  const at::Tensor tokens = encoded.to(at::kFloat);
  at::Tensor x = at::empty({batch * (1 + n), dim}, at::kFloat);
  const float *mask = mask_token.data_ptr<float>(), *pos = pos_embed.data_ptr<float>();
  const float* from = tokens.data_ptr<float>();
  const std::int64_t* positions = order_of(order);
  for_each_job(batch * (1 + n), [&](std::int64_t job) {
    const std::int64_t b = job / (1 + n), j = job % (1 + n);
    const std::int64_t place = j == 0 ? 0 : 1 + positions[b * n + j - 1];
    const float* token = j <= n_visible ? from + (b * (1 + n_visible) + j) * dim : mask;
    float* to = x.data_ptr<float>() + (b * (1 + n) + place) * dim;
    for (std::int64_t i = 0; i < dim; ++i) to[i] = token[i] + pos[place * dim + i];
  });
  return x;
}

at::Tensor append_mask_tokens(const at::Tensor& encoded, const at::Tensor& order,
                              const at::Tensor& masked, const at::Tensor& mask_token,
                              const at::Tensor& pos_embed) {
  if (!encoded.is_cpu())
    return aten::append_mask_tokens(encoded, order, masked, mask_token, pos_embed);
  const std::int64_t batch = order.size(0), n = order.size(1), dim = encoded.size(1);
  const std::int64_t encoded_each = encoded.size(0) / batch, n_masked = masked.size(1);
  const std::int64_t each = encoded_each + n_masked;
  const at::Tensor tokens = encoded.to(at::kFloat);
  at::Tensor x = at::empty({batch * each, dim}, at::kFloat);
  const float *mask = mask_token.data_ptr<float>(), *pos = pos_embed.data_ptr<float>();
  const float* from = tokens.data_ptr<float>();
  const std::int64_t *visible = order_of(order), *hidden = order_of(masked);
  for_each_job(batch * each, [&](std::int64_t job) {
    const std::int64_t b = job / each, j = job % each, m = j - encoded_each;
    const float* token = m < 0 ? from + (b * encoded_each + j) * dim : mask;
    const std::int64_t place = m >= 0   ? 1 + hidden[b * n_masked + m]
                               : j == 0 ? 0
                                        : 1 + visible[b * n + j - 1];
    float* to = x.data_ptr<float>() + job * dim;
    for (std::int64_t i = 0; i < dim; ++i) to[i] = token[i] + pos[place * dim + i];
  });
  return x;
}

at::Tensor append_mask_tokens_backward(const at::Tensor& dx, std::int64_t batch,
                                       std::int64_t n_masked, at::Tensor& mask_grad) {
  const std::int64_t dim = dx.size(1);
  const at::Tensor by_image = dx.view({batch, -1, dim});
  const std::int64_t encoded = by_image.size(1) - n_masked;
  // Summed image by image, so that the result does not depend on threads.
  mask_grad.view({dim}).add_(by_image.narrow(1, encoded, n_masked).sum(1).sum(0));
  return rows_of_each(dx, batch, 0, encoded);
}

at::Tensor last_rows(const at::Tensor& x, std::int64_t batch, std::int64_t n_masked) {
  return rows_of_each(x, batch, x.size(0) / batch - n_masked, n_masked);
}

at::Tensor put_last_rows(const at::Tensor& rows, std::int64_t batch, std::int64_t n) {
  const std::int64_t dim = rows.size(1), last = rows.size(0) / batch;
  at::Tensor x = at::zeros({batch, n, dim}, rows.options());
  x.narrow(1, n - last, last).copy_(rows.view({batch, last, dim}));
  return x.view({-1, dim});
}

at::Tensor rows_at(const at::Tensor& x, const at::Tensor& positions) {
  const at::Tensor first =
      at::arange(positions.size(0), positions.options()).mul_(x.size(0) / positions.size(0));
  return x.index_select(0, positions.add(first.unsqueeze(1)).view({-1}));
}

MaeLoss reconstruction_loss(const at::Tensor& pixels, const at::Tensor& pred,
                            const at::Tensor& masked, std::int64_t patch_size, bool norm_pix_loss,
                            double loss_scale, at::Tensor* dpred) {
  if (!pixels.is_cpu())
    return aten::reconstruction_loss(pixels, pred, masked, patch_size, norm_pix_loss, loss_scale,
                                     dpred);
  const at::Tensor source = pixels.contiguous();
  const Grid grid(source, patch_size);
  const std::int64_t values = grid.channels * patch_size * patch_size;
  const std::int64_t n_masked = masked.size(1), rows = grid.batch * n_masked;
  const at::Tensor predicted = pred.to(at::kFloat);
  at::Tensor gradient = dpred ? at::empty({rows, values}, at::kFloat) : at::Tensor();
  const at::Tensor per_patch = at::empty({grid.batch, n_masked}, at::kFloat);
  std::vector<double> losses(static_cast<std::size_t>(rows));
  const float* from = source.data_ptr<float>();
  const std::int64_t* positions = order_of(masked);
  const float scale = static_cast<float>(2.0 * loss_scale / static_cast<double>(rows * values));
  for_each_job(rows, [&](std::int64_t job) {
    const std::int64_t b = job / n_masked, position = positions[job];
    std::vector<float> target(static_cast<std::size_t>(values));
    for (std::int64_t c = 0; c < grid.channels; ++c) {
      const float* pixel = grid.pixel(from, b, c, position);
      for (std::int64_t y = 0; y < patch_size; ++y)
        for (std::int64_t x = 0; x < patch_size; ++x)
          target[(y * patch_size + x) * grid.channels + c] = pixel[y * grid.width + x];
    }
    if (norm_pix_loss) {
      double sum = 0, squares = 0;
      for (const float t : target) sum += t;
      const double mean = sum / static_cast<double>(values);
      for (const float t : target) squares += (t - mean) * (t - mean);
      const double variance = squares / static_cast<double>(values - 1);
      const double inverse = 1.0 / std::sqrt(variance + 1e-6);
      for (float& t : target) t = static_cast<float>((t - mean) * inverse);
    }
    const float* guess = predicted.data_ptr<float>() + job * values;
    double loss = 0;
    for (std::int64_t i = 0; i < values; ++i) {
      const float difference = guess[i] - target[i];
      loss += static_cast<double>(difference) * difference;
      if (dpred) gradient.data_ptr<float>()[job * values + i] = scale * difference;
    }
    losses[job] = loss;
    per_patch.data_ptr<float>()[job] = static_cast<float>(loss / static_cast<double>(values));
  });
  if (dpred) *dpred = gradient.to(pred.scalar_type());
  double total = 0;
  for (const double loss : losses) total += loss;
  return {at::scalar_tensor(total / static_cast<double>(rows * values), at::kDouble), per_patch};
}

at::Tensor reconstruction_target_backward(const at::Tensor& pixels, const at::Tensor& pred,
                                          const at::Tensor& masked, std::int64_t patch_size,
                                          bool norm_pix_loss, double loss_scale) {
  const std::int64_t values = pred.size(1);
  const at::Tensor patches = patchify(pixels, patch_size);
  at::Tensor target = rows_at(patches.view({-1, values}), masked);
  at::Tensor inverse;
  if (norm_pix_loss) {
    const auto [variance, mean] = at::var_mean(target, at::IntArrayRef{1}, /*unbiased=*/true,
                                               /*keepdim=*/true);
    inverse = variance.add(1e-6).rsqrt_();
    target = target.sub(mean).mul_(inverse);
  }
  at::Tensor d =
      target.sub(pred.to(at::kFloat)).mul_(2.0 * loss_scale / static_cast<double>(target.numel()));
  if (norm_pix_loss) {  // through the mean and the deviation
    const at::Tensor along =
        d.mul(target).sum({1}, /*keepdim=*/true).div_(static_cast<double>(values - 1));
    d = d.sub(d.mean({1}, /*keepdim=*/true)).sub_(target.mul(along)).mul_(inverse);
  }
  return unpatchify(put_in_place(d, masked, patches.size(1)).view(patches.sizes()), pixels.size(1),
                    pixels.size(2), pixels.size(3));
}

at::Tensor patchify(const at::Tensor& pixels, std::int64_t patch_size) {
  const Grid grid(pixels, patch_size);
  return pixels
      .reshape(
          {grid.batch, grid.channels, grid.height / patch_size, patch_size, grid.cols, patch_size})
      .permute({0, 2, 4, 3, 5, 1})
      .reshape({grid.batch, grid.n, patch_size * patch_size * grid.channels});
}

at::Tensor unpatchify(const at::Tensor& patches, std::int64_t channels, std::int64_t height,
                      std::int64_t width) {
  const std::int64_t values = patches.size(2) / channels;
  const auto p = static_cast<std::int64_t>(std::lround(std::sqrt(static_cast<double>(values))));
  SGMAE_ASSERT(p * p == values);
  return patches.reshape({patches.size(0), height / p, width / p, p, p, channels})
      .permute({0, 5, 1, 3, 2, 4})
      .reshape({patches.size(0), channels, height, width});
}

}  // namespace sgmae
