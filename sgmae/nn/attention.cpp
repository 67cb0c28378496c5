#include "sgmae/nn/attention.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/einsum.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "sgmae/base/error.h"
#include "sgmae/nn/products.h"
#include "sgmae/nn/relative_attention.h"

namespace sgmae {
namespace {

// How many logits are held at once: of one head, of at least one image or window.
constexpr std::int64_t logits_at_once = 1 << 24;

std::int64_t whole_windows(std::int64_t side, std::int64_t window) {
  return (side + window - 1) / window;
}

// [n, n]: how far row i lies behind column j, from 0 for the farthest ahead that a side has.
at::Tensor offsets(std::int64_t n, std::int64_t side, const at::TensorOptions& options) {
  const at::Tensor place = at::arange(n, options.dtype(at::kLong));
  return place.unsqueeze(1).sub(place).add_(side - 1);
}

// What relative positions add to the logits, and its gradients. One object serves one pass.
class RelativeLogits {
 public:
  explicit RelativeLogits(const AttentionShape& shape)
      : shape_(shape), rows_(shape.side_rows()), columns_(shape.side_columns()) {
    const at::TensorOptions options =
        (shape.bias_table ? shape.bias_table : shape.rel_pos_h)->value.options();
    const GridSize side = shape.table_side();
    SGMAE_ASSERT(rows_ <= side.rows && columns_ <= side.cols);
    row_index_ = offsets(rows_, side.rows, options);
    column_index_ = offsets(columns_, side.cols, options);
    if (shape.bias_table) {
      bias_index_ = row_index_.mul(2 * side.cols - 1)
                        .view({rows_, 1, rows_, 1})
                        .add(column_index_.view({1, columns_, 1, columns_}))
                        .view({rows_ * columns_, rows_ * columns_});
      if (shape.class_tokens > 0) {
        const std::int64_t special = shape.bias_table->value.size(0) - 3;
        bias_index_ = at::constant_pad_nd(bias_index_, {1, 0, 1, 0}, special);
        bias_index_.select(1, 0).fill_(special + 1);
        bias_index_.select(1, 0).narrow(0, 0, 1).fill_(special + 2);
      }
    } else {
      const auto table = [](const Parameter& p, const at::Tensor& index) {
        return p.value.index_select(0, index.view({-1})).view({index.size(0), index.size(1), -1});
      };
      h_ = table(*shape.rel_pos_h, row_index_);
      w_ = table(*shape.rel_pos_w, column_index_);
      dh_ = at::zeros_like(h_);
      dw_ = at::zeros_like(w_);
    }
  }

  // logits [b, n, n] of `head` += theirs, for queries q [b, n, d].
  void add_to(at::Tensor& logits, const at::Tensor& q, std::int64_t head) const {
    if (shape_.bias_table) {
      logits.add_(shape_.bias_table->value.select(1, head)
                      .index_select(0, bias_index_.view({-1}))
                      .view(bias_index_.sizes()));
      return;
    }
    const at::Tensor on_grid = q.reshape({q.size(0), rows_, columns_, -1});
    logits.view({q.size(0), rows_, columns_, rows_, columns_})
        .add_(at::einsum("byxd,ykd->byxk", {on_grid, h_}).unsqueeze(-1))
        .add_(at::einsum("byxd,xkd->byxk", {on_grid, w_}).unsqueeze(-2));
  }

  // dq [b, n, d] += what comes through the above for dlogits; notes the tables' gradients.
  void backward(const at::Tensor& dlogits, const at::Tensor& q, at::Tensor& dq, std::int64_t head) {
    if (shape_.bias_table) {
      shape_.bias_table->grad.select(1, head).index_add_(0, bias_index_.view({-1}),
                                                         dlogits.sum(0).view({-1}));
      return;
    }
    const at::Tensor on_grid = q.reshape({q.size(0), rows_, columns_, -1});
    const at::Tensor d = dlogits.view({q.size(0), rows_, columns_, rows_, columns_});
    const at::Tensor by_row = d.sum(-1), by_column = d.sum(-2);
    dq.view(on_grid.sizes())
        .add_(at::einsum("byxk,ykd->byxd", {by_row, h_}))
        .add_(at::einsum("byxk,xkd->byxd", {by_column, w_}));
    dh_.add_(at::einsum("byxk,byxd->ykd", {by_row, on_grid}));
    dw_.add_(at::einsum("byxk,byxd->xkd", {by_column, on_grid}));
  }

  // Adds what was noted to the tables' gradients.
  void finish_backward() {
    if (shape_.bias_table) return;
    const std::int64_t d = h_.size(2);
    shape_.rel_pos_h->grad.index_add_(0, row_index_.view({-1}), dh_.view({-1, d}));
    shape_.rel_pos_w->grad.index_add_(0, column_index_.view({-1}), dw_.view({-1, d}));
  }

 private:
  const AttentionShape& shape_;
  std::int64_t rows_, columns_;
  at::Tensor row_index_, column_index_;  // [rows, rows], [columns, columns] int64
  at::Tensor bias_index_;                // [n, n] int64, into bias_table
  at::Tensor h_, w_, dh_, dw_;           // [rows, rows, d], [columns, columns, d]: query, key
};

// One head of some of the images: which part of any [B, n, D] tensor it is.
struct Part {
  std::int64_t first, count, head, d;

  at::Tensor of(const at::Tensor& tokens) const {
    return tokens.narrow(0, first, count).narrow(2, head * d, d);
  }
  at::Tensor float_of(const at::Tensor& tokens) const { return of(tokens).to(at::kFloat); }
  at::Tensor of_heads(const at::Tensor& by_head) const {
    return by_head.select(1, head).narrow(0, first, count);
  }
};

// body(part, q, k, v) for all heads and images of qkv [B, n, 3, D], each [b, n, d] fp32.
template <class Body>
void for_each_part(const at::Tensor& qkv, std::int64_t heads, Body body) {
  const std::int64_t batch = qkv.size(0), n = qkv.size(1), d = qkv.size(3) / heads;
  const std::int64_t step = std::clamp<std::int64_t>(logits_at_once / (n * n), 1, batch);
  for (std::int64_t head = 0; head < heads; ++head)
    for (std::int64_t first = 0; first < batch; first += step) {
      const Part part{first, std::min(step, batch - first), head, d};
      body(part, part.float_of(qkv.select(2, 0)), part.float_of(qkv.select(2, 1)),
           part.float_of(qkv.select(2, 2)));
    }
}

at::Tensor logits_of(const at::Tensor& q, const at::Tensor& k, const RelativeLogits& relative,
                     std::int64_t head) {
  at::Tensor logits = at::bmm(q, k.transpose(1, 2)).div_(std::sqrt(static_cast<double>(q.size(2))));
  relative.add_to(logits, q, head);
  return logits;
}

// Of a table [2*side - 1, d] of offsets along an axis, those within `part`.
at::Tensor middle(const at::Tensor& table, std::int64_t part) {
  return table.narrow(0, (table.size(0) + 1) / 2 - part, 2 * part - 1);
}

// What nn/relative_attention.h takes, where that is how this attention is computed.
std::optional<DecomposedPositions> decomposed(const at::Tensor& qkv, const AttentionShape& shape) {
  if (!shape.rel_pos_h || !has_products(qkv.device())) return {};
  return DecomposedPositions{shape.side_rows(), shape.side_columns(),
                             middle(shape.rel_pos_h->value, shape.side_rows()),
                             middle(shape.rel_pos_w->value, shape.side_columns())};
}

std::optional<PositionBias> position_bias(const at::Tensor& qkv, const AttentionShape& shape) {
  if (!shape.bias_table || !has_products(qkv.device())) return {};
  return PositionBias{shape.side_rows(), shape.side_columns(), shape.class_tokens,
                      shape.table_side(), shape.bias_table->value};
}

}  // namespace

std::int64_t AttentionShape::windows() const {
  return window > 0 ? whole_windows(rows, window) * whole_windows(columns, window) : 1;
}

at::Tensor into_windows(const at::Tensor& x, const AttentionShape& shape,
                        const at::Tensor& beyond) {
  const std::int64_t side = shape.window, dim = x.size(1);
  if (side == 0) return x;
  const std::int64_t down = whole_windows(shape.rows, side);
  const std::int64_t across = whole_windows(shape.columns, side);
  const std::int64_t below = down * side - shape.rows, right = across * side - shape.columns;
  at::Tensor padded =
      at::constant_pad_nd(x.view({-1, shape.rows, shape.columns, dim}), {0, 0, 0, right, 0, below});
  if (beyond.defined()) {
    padded.narrow(1, shape.rows, below).copy_(beyond);
    padded.narrow(2, shape.columns, right).copy_(beyond);
  }
  return padded.view({-1, down, side, across, side, dim}).transpose(2, 3).reshape({-1, dim});
}

at::Tensor from_windows(const at::Tensor& x, const AttentionShape& shape) {
  const std::int64_t side = shape.window, dim = x.size(1);
  if (side == 0) return x;
  const std::int64_t down = whole_windows(shape.rows, side);
  const std::int64_t across = whole_windows(shape.columns, side);
  return x.view({-1, down, across, side, side, dim})
      .transpose(2, 3)
      .reshape({-1, down * side, across * side, dim})
      .narrow(1, 0, shape.rows)
      .narrow(2, 0, shape.columns)
      .reshape({-1, dim});
}

Attended attention(const at::Tensor& qkv, const AttentionShape& shape) {
  if (!shape.has_relative_positions()) return attention(qkv, shape.heads);
  if (const auto positions = decomposed(qkv, shape)) return attention(qkv, shape.heads, *positions);
  if (const auto bias = position_bias(qkv, shape)) return attention(qkv, shape.heads, *bias);
  const RelativeLogits relative(shape);
  Attended result{
      at::empty({qkv.size(0), qkv.size(1), qkv.size(3)}, qkv.options()),
      at::empty({qkv.size(0), shape.heads, qkv.size(1)}, qkv.options().dtype(at::kFloat))};
  for_each_part(
      qkv, shape.heads,
      [&](const Part& part, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
        at::Tensor weights = logits_of(q, k, relative, part.head);
        const at::Tensor sums = at::logsumexp(weights, {-1});
        weights.sub_(sums.unsqueeze(-1)).exp_();
        part.of(result.out).copy_(at::bmm(weights, v));
        part.of_heads(result.log_sum_exp).copy_(sums);
      });
  return result;
}

at::Tensor attention_backward(const at::Tensor& dout, const at::Tensor& qkv,
                              const Attended& attended, const AttentionShape& shape) {
  if (!shape.has_relative_positions()) return attention_backward(dout, qkv, attended, shape.heads);
  if (const auto positions = decomposed(qkv, shape)) {
    at::Tensor dh = middle(shape.rel_pos_h->grad, shape.side_rows());
    at::Tensor dw = middle(shape.rel_pos_w->grad, shape.side_columns());
    return attention_backward(dout, qkv, attended, shape.heads, *positions, dh, dw);
  }
  if (const auto bias = position_bias(qkv, shape))
    return attention_backward(dout, qkv, attended, shape.heads, *bias, shape.bias_table->grad);
  RelativeLogits relative(shape);
  at::Tensor dqkv = at::empty_like(qkv);
  for_each_part(
      qkv, shape.heads,
      [&](const Part& part, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
        const double scale = 1 / std::sqrt(static_cast<double>(part.d));
        const at::Tensor g = part.float_of(dout);
        const at::Tensor weights = logits_of(q, k, relative, part.head)
                                       .sub_(part.of_heads(attended.log_sum_exp).unsqueeze(-1))
                                       .exp_();
        at::Tensor dlogits = at::bmm(g, v.transpose(1, 2));  // those of the weights, for now
        dlogits.sub_(weights.mul(dlogits).sum({-1}, /*keepdim=*/true)).mul_(weights);
        at::Tensor dq = at::bmm(dlogits, k).mul_(scale);
        relative.backward(dlogits, q, dq, part.head);
        part.of(dqkv.select(2, 0)).copy_(dq);
        part.of(dqkv.select(2, 1)).copy_(at::bmm(dlogits.transpose(1, 2), q).mul_(scale));
        part.of(dqkv.select(2, 2)).copy_(at::bmm(weights.transpose(1, 2), g));
      });
  relative.finish_backward();
  return dqkv;
}

at::Tensor attention_weights(const at::Tensor& qkv, const AttentionShape& shape) {
  const std::int64_t side = qkv.size(1);
  at::Tensor weights;
  if (shape.has_relative_positions()) {
    const RelativeLogits relative(shape);
    weights = at::empty({qkv.size(0), shape.heads, side, side}, qkv.options().dtype(at::kFloat));
    for_each_part(
        qkv, shape.heads,
        [&](const Part& part, const at::Tensor& q, const at::Tensor& k, const at::Tensor&) {
          part.of_heads(weights).copy_(logits_of(q, k, relative, part.head).softmax(-1));
        });
  } else {
    weights = attention_weights(qkv, shape.heads);
  }
  if (shape.window == 0) return weights;

  // Back to their places [n+1, n+1] of the image; 0 stands for what lies beyond the grid.
  const std::int64_t n = shape.rows * shape.columns, batch = qkv.size(0) / shape.windows();
  const at::Tensor place =
      into_windows(at::arange(1, n + 1, weights.options().dtype(at::kLong)).unsqueeze(1), shape)
          .view({shape.windows(), side});
  const at::Tensor pair = place.unsqueeze(2).mul(n + 1).add(place.unsqueeze(1)).view({-1});
  at::Tensor all = at::zeros({batch, shape.heads, (n + 1) * (n + 1)}, weights.options());
  all.index_copy_(2, pair,
                  weights.view({batch, shape.windows(), shape.heads, side, side})
                      .transpose(1, 2)
                      .reshape({batch, shape.heads, -1}));
  return all.view({batch, shape.heads, n + 1, n + 1}).slice(2, 1).slice(3, 1).contiguous();
}

}  // namespace sgmae
