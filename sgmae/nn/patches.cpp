#include "sgmae/nn/patches.h"

#include <ATen/Parallel.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/var_mean.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/nn/kernels/aten.h"

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

// Calls body(job) for 0 .. jobs-1, spread over threads.
template <class Body>
void for_each_job(std::int64_t jobs, Body body) {
  at::parallel_for(0, jobs, std::max<std::int64_t>(1, jobs / (4 * at::get_num_threads())),
                   [&](std::int64_t begin, std::int64_t end) {
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
  return by_image.narrow(1, 1, by_image.size(1) - 1).reshape({-1, dim});
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

at::Tensor restore_tokens_backward(const at::Tensor& dx, const at::Tensor& order,
                                   std::int64_t n_visible, at::Tensor& mask_grad) {
  if (!dx.is_cpu()) return aten::restore_tokens_backward(dx, order, n_visible, mask_grad);
  const std::int64_t batch = order.size(0), n = order.size(1), dim = dx.size(1);
  at::Tensor encoded = at::empty({batch * (1 + n_visible), dim}, at::kFloat);
  const float* from = dx.data_ptr<float>();
  const std::int64_t* positions = order_of(order);
  for_each_job(batch * (1 + n_visible), [&](std::int64_t job) {
    const std::int64_t b = job / (1 + n_visible), j = job % (1 + n_visible);
    const std::int64_t place = j == 0 ? 0 : 1 + positions[b * n + j - 1];
    std::copy_n(from + (b * (1 + n) + place) * dim, dim, encoded.data_ptr<float>() + job * dim);
  });
  // Summed image by image in a fixed order, so that the result does not depend on threads.
  at::Tensor per_image = at::zeros({batch, dim}, at::kFloat);
  for_each_job(batch, [&](std::int64_t b) {
    float* sum = per_image.data_ptr<float>() + b * dim;
    for (std::int64_t j = n_visible; j < n; ++j) {
      const float* row = from + (b * (1 + n) + 1 + positions[b * n + j]) * dim;
      for (std::int64_t i = 0; i < dim; ++i) sum[i] += row[i];
    }
  });
  mask_grad.view({dim}).add_(per_image.sum(0));
  return encoded;
}

at::Tensor masked_rows(const at::Tensor& x, const at::Tensor& order, std::int64_t n_visible,
                       bool with_cls) {
  if (!x.is_cpu()) return aten::masked_rows(x, order, n_visible, with_cls);
  const std::int64_t batch = order.size(0), n = order.size(1), masked = n - n_visible;
  const std::int64_t bytes = x.size(1) * x.element_size();
  at::Tensor out = at::empty({batch * masked, x.size(1)}, x.scalar_type());
  const char* from = static_cast<const char*>(x.data_ptr());
  char* to = static_cast<char*>(out.data_ptr());
  const std::int64_t* positions = order_of(order);
  for_each_job(batch * masked, [&](std::int64_t job) {
    const std::int64_t b = job / masked, position = positions[b * n + n_visible + job % masked];
    const std::int64_t row = with_cls ? b * (1 + n) + 1 + position : b * n + position;
    std::memcpy(to + job * bytes, from + row * bytes, static_cast<std::size_t>(bytes));
  });
  return out;
}

at::Tensor scatter_masked_rows(const at::Tensor& rows, const at::Tensor& order,
                               std::int64_t n_visible) {
  if (!rows.is_cpu()) return aten::scatter_masked_rows(rows, order, n_visible);
  const std::int64_t batch = order.size(0), n = order.size(1), masked = n - n_visible;
  const std::int64_t dim = rows.size(1);
  at::Tensor out = at::zeros({batch * (1 + n), dim}, at::kFloat);
  const std::int64_t* positions = order_of(order);
  for_each_job(batch * masked, [&](std::int64_t job) {
    const std::int64_t b = job / masked, position = positions[b * n + n_visible + job % masked];
    std::copy_n(rows.data_ptr<float>() + job * dim, dim,
                out.data_ptr<float>() + (b * (1 + n) + 1 + position) * dim);
  });
  return out;
}

MaeLoss reconstruction_loss(const at::Tensor& pixels, const at::Tensor& pred,
                            const at::Tensor& order, std::int64_t n_visible,
                            std::int64_t patch_size, bool norm_pix_loss, double loss_scale,
                            at::Tensor* dpred) {
  if (!pixels.is_cpu())
    return aten::reconstruction_loss(pixels, pred, order, n_visible, patch_size, norm_pix_loss,
                                     loss_scale, dpred);
  const at::Tensor source = pixels.contiguous();
  const Grid grid(source, patch_size);
  const std::int64_t values = grid.channels * patch_size * patch_size;
  const std::int64_t masked = grid.n - n_visible, rows = grid.batch * masked;
  const at::Tensor predicted = pred.to(at::kFloat);
  at::Tensor gradient = dpred ? at::empty({rows, values}, at::kFloat) : at::Tensor();
  const at::Tensor per_patch = at::empty({grid.batch, masked}, at::kFloat);
  std::vector<double> losses(static_cast<std::size_t>(rows));
  const float* from = source.data_ptr<float>();
  const std::int64_t* positions = order_of(order);
  const float scale = static_cast<float>(2.0 * loss_scale / static_cast<double>(rows * values));
  for_each_job(rows, [&](std::int64_t job) {
    const std::int64_t b = job / masked,
                       position = positions[b * grid.n + n_visible + job % masked];
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
                                          const at::Tensor& order, std::int64_t n_visible,
                                          std::int64_t patch_size, bool norm_pix_loss,
                                          double loss_scale) {
  const std::int64_t n = order.size(1), values = pred.size(1);
  at::Tensor target = masked_rows(patchify(pixels, patch_size).view({-1, values}), order, n_visible,
                                  /*with_cls=*/false);
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
  return unpatchify(put_in_place(d, order.narrow(1, n_visible, n - n_visible), n)
                        .view({pixels.size(0), n, values}),
                    pixels.size(1), pixels.size(2), pixels.size(3));
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
