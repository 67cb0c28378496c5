// Oracle: windows written out patch by patch; attention with relative positions written out in
// double, one query and one key at a time; whole models with them against transformers'
// VitDetBackbone and BeitModel (tests/golden/vitdet_beit.py).
#include "sgmae/nn/attention.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/randn_like.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "sgmae/io/safetensors.h"
#include "sgmae/nn/vit.h"
#include "tests/peer_vits.h"
#include "tests/support/other_device.h"

namespace sgmae {
namespace {

double relative_error(const at::Tensor& ours, const at::Tensor& exact) {
  const at::Tensor error = ours.cpu().to(at::kDouble).sub(exact.to(at::kDouble));
  return error.norm().item<double>() / std::max(exact.norm().item<double>(), 1e-12);
}

// ---- windows ----

AttentionShape windows_of(std::int64_t rows, std::int64_t columns, std::int64_t window) {
  AttentionShape shape;
  shape.rows = rows, shape.columns = columns, shape.window = window;
  return shape;
}

TEST(Windows, HoldThePatchesOfTheirPlaceAndZerosBeyondTheGrid) {
  for (const auto& [rows, columns, side] : {std::tuple<int, int, int>{4, 4, 2},
                                            {5, 5, 3},
                                            {3, 9, 4},
                                            {7, 2, 3},
                                            {2, 3, 5},
                                            {1, 6, 1}}) {
    const AttentionShape shape = windows_of(rows, columns, side);
    const at::Tensor x = at::randn({2 * rows * columns, 3});
    const at::Tensor windows = into_windows(x, shape);
    const int down = (rows + side - 1) / side, across = (columns + side - 1) / side;
    ASSERT_EQ(shape.windows(), down * across);
    ASSERT_EQ(windows.sizes(), (at::IntArrayRef{2 * down * across * side * side, 3}));
    std::int64_t at = 0;
    for (int image = 0; image < 2; ++image)
      for (int window = 0; window < down * across; ++window)
        for (int i = 0; i < side * side; ++i, ++at) {
          const int row = window / across * side + i / side;
          const int column = window % across * side + i % side;
          const bool inside = row < rows && column < columns;
          const at::Tensor expected =
              inside ? x[(image * rows + row) * columns + column] : at::zeros({3});
          ASSERT_TRUE(windows[at].equal(expected)) << rows << "x" << columns << " " << at;
        }
    EXPECT_TRUE(from_windows(windows, shape).equal(x));
  }
}

TEST(Windows, WithoutThemTokensStayWhereTheyAre) {
  const at::Tensor x = at::randn({10, 3});
  EXPECT_TRUE(into_windows(x, {}).is_same(x));
  EXPECT_TRUE(from_windows(x, {}).is_same(x));
}

// ---- attention with relative positions ----

struct Tables {
  Parameter h, w, bias;

  // Tables for shape.side_rows() x side_columns(), each drawn.
  AttentionShape given_to(AttentionShape shape, RelativePosition kind, std::int64_t head_dim) {
    const auto drawn = [](Parameter& p, at::IntArrayRef sizes) {
      p.value = at::randn(sizes);
      p.grad = at::zeros(sizes);
      return &p;
    };
    const std::int64_t rows = 2 * shape.side_rows() - 1, columns = 2 * shape.side_columns() - 1;
    if (kind == RelativePosition::decomposed) {
      shape.rel_pos_h = drawn(h, {rows, head_dim});
      shape.rel_pos_w = drawn(w, {columns, head_dim});
    } else if (kind == RelativePosition::bias) {
      shape.bias_table =
          drawn(bias, {rows * columns + (shape.class_tokens > 0 ? 3 : 0), shape.heads});
    }
    return shape;
  }
};

double value(const Parameter* table, std::int64_t row, std::int64_t column) {
  return table->value[row][column].item<double>();
}

// The weights [B, heads, n, n] of qkv [B, n, 3, D].
at::Tensor slow_weights(const at::Tensor& qkv, const AttentionShape& shape) {
  const std::int64_t batch = qkv.size(0), n = qkv.size(1), d = qkv.size(3) / shape.heads;
  const std::int64_t rows = shape.side_rows(), columns = shape.side_columns();
  at::Tensor weights = at::empty({batch, shape.heads, n, n}, at::kDouble);
  const at::Tensor x = qkv.to(at::kDouble);
  for (std::int64_t b = 0; b < batch; ++b)
    for (std::int64_t head = 0; head < shape.heads; ++head)
      for (std::int64_t i = 0; i < n; ++i) {
        std::vector<double> row;
        const at::Tensor q = x[b][i][0].narrow(0, head * d, d);
        for (std::int64_t j = 0; j < n; ++j) {
          double logit = q.dot(x[b][j][1].narrow(0, head * d, d)).item<double>() /
                         std::sqrt(static_cast<double>(d));
          const std::int64_t from = i - shape.class_tokens, to = j - shape.class_tokens;
          const std::int64_t down = from / columns - to / columns + rows - 1;
          const std::int64_t right = from % columns - to % columns + columns - 1;
          if (shape.rel_pos_h) {
            logit += q.dot(shape.rel_pos_h->value[down].to(at::kDouble)).item<double>();
            logit += q.dot(shape.rel_pos_w->value[right].to(at::kDouble)).item<double>();
          } else if (shape.bias_table) {
            const std::int64_t patches = (2 * rows - 1) * (2 * columns - 1);
            const std::int64_t entry = from < 0 && to < 0 ? patches + 2
                                       : to < 0           ? patches + 1
                                       : from < 0         ? patches
                                                          : down * (2 * columns - 1) + right;
            logit += value(shape.bias_table, entry, head);
          }
          row.push_back(logit);
        }
        double sum = 0;
        for (const double logit : row) sum += std::exp(logit);
        for (std::int64_t j = 0; j < n; ++j)
          weights[b][head][i][j] = std::exp(row[static_cast<std::size_t>(j)]) / sum;
      }
  return weights;
}

struct Case {
  const char* name;
  std::int64_t rows, columns, class_tokens, window;
  RelativePosition kind;
};

class ShapedAttention : public testing::TestWithParam<Case> {
 protected:
  static constexpr std::int64_t heads = 2, dim = 12;

  ShapedAttention() {
    const auto [name, rows, columns, class_tokens, window, kind] = GetParam();
    AttentionShape shape = windows_of(rows, columns, window);
    shape.heads = heads, shape.class_tokens = class_tokens;
    shape_ = tables_.given_to(shape, kind, dim / heads);
    const std::int64_t tokens = class_tokens + (window > 0 ? window * window : rows * columns);
    qkv_ = at::randn({2 * shape_.windows(), tokens, 3, dim});
  }

  Tables tables_;
  AttentionShape shape_;
  at::Tensor qkv_;
};

// 2e-6: fp32 against double.
TEST_P(ShapedAttention, IsTheOneWrittenOut) {
  const std::int64_t batch = qkv_.size(0), n = qkv_.size(1);
  const at::Tensor weights = slow_weights(qkv_, shape_);
  const at::Tensor v =
      qkv_.select(2, 2).to(at::kDouble).view({batch, n, heads, dim / heads}).transpose(1, 2);
  const at::Tensor exact = weights.matmul(v).transpose(1, 2).reshape({batch, n, dim});
  EXPECT_LT(relative_error(attention(qkv_, shape_).out, exact), 2e-6);
}

// Taps see whole images: each patch's weights at the places of the patches, none between windows.
TEST_P(ShapedAttention, WeightsAreThoseOfTheImage) {
  const at::Tensor slow = slow_weights(qkv_, shape_), found = attention_weights(qkv_, shape_);
  if (shape_.window == 0) {
    EXPECT_LT(relative_error(found, slow), 2e-6);
    return;
  }
  const std::int64_t n = shape_.rows * shape_.columns, side = shape_.window;
  const std::int64_t across = (shape_.columns + side - 1) / side;
  at::Tensor exact = at::zeros({2, heads, n, n}, at::kDouble);
  const auto place = [&](std::int64_t patch) {
    const std::int64_t row = patch / shape_.columns, column = patch % shape_.columns;
    return std::pair{row / side * across + column / side, row % side * side + column % side};
  };
  for (std::int64_t b = 0; b < 2; ++b)
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t j = 0; j < n; ++j) {
        const auto [window, from] = place(i);
        const auto [other, to] = place(j);
        if (window == other)
          exact.select(0, b).select(1, i).select(1, j).copy_(
              slow[b * shape_.windows() + window].select(1, from).select(1, to));
      }
  EXPECT_LT(relative_error(found, exact), 2e-6);
}

// d sum(g * attention) by central differences of the forward pass, along one random direction for
// each input. 3e-3: differences of fp32 results at a step of 1e-2.
TEST_P(ShapedAttention, GradientsAreThoseOfTheForwardPass) {
  const Attended attended = attention(qkv_, shape_);
  const at::Tensor g = at::randn_like(attended.out);
  const at::Tensor dqkv = attention_backward(g, qkv_, attended, shape_);
  const auto expect_slope = [&](at::Tensor input, const at::Tensor& grad, const char* what) {
    const at::Tensor direction = at::randn_like(input), before = input.clone();
    const auto at_step = [&](double step) {
      input.copy_(before.add(direction, step));
      return attention(qkv_, shape_).out.mul(g).sum(at::kDouble).item<double>();
    };
    const double step = 1e-2 / direction.norm().item<double>();
    const double slope = (at_step(step) - at_step(-step)) / (2 * step);
    input.copy_(before);
    const double scale = grad.norm().item<double>() * direction.norm().item<double>();
    EXPECT_NEAR(grad.mul(direction).sum().item<double>(), slope, 3e-3 * scale) << what;
  };
  expect_slope(qkv_, dqkv, "qkv");
  for (const auto& [table, what] : {std::pair{shape_.rel_pos_h, "rel_pos_h"},
                                    {shape_.rel_pos_w, "rel_pos_w"},
                                    {shape_.bias_table, "bias_table"}})
    if (table) expect_slope(table->value, table->grad, what);
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, ShapedAttention,
    testing::Values(Case{"decomposed", 3, 4, 0, 0, RelativePosition::decomposed},
                    Case{"decomposed_windows", 3, 5, 0, 2, RelativePosition::decomposed},
                    Case{"windows", 4, 3, 0, 3, RelativePosition::none},
                    Case{"bias_class", 3, 4, 1, 0, RelativePosition::bias},
                    Case{"bias", 2, 3, 0, 0, RelativePosition::bias},
                    Case{"bias_windows", 3, 3, 0, 2, RelativePosition::bias}),
    [](const auto& info) { return std::string(info.param.name); });

// So large that the logits of all images are not held at once.
TEST(ShapedAttentionOfMany, IsThatOfEachImage) {
  Tables tables;
  const AttentionShape shape =
      tables.given_to(windows_of(37, 41, 0), RelativePosition::decomposed, 4);
  const at::Tensor qkv = at::randn({8, 37 * 41, 3, 4}), g = at::randn({8, 37 * 41, 4});
  const Attended all = attention(qkv, shape);
  const at::Tensor dqkv = attention_backward(g, qkv, all, shape);
  for (const std::int64_t image : {0, 7}) {
    const at::Tensor one = qkv.narrow(0, image, 1);
    const Attended alone = attention(one, shape);
    EXPECT_LT(relative_error(all.out.narrow(0, image, 1), alone.out), 1e-6);
    EXPECT_LT(relative_error(dqkv.narrow(0, image, 1),
                             attention_backward(g.narrow(0, image, 1), one, alone, shape)),
              1e-6);
  }
}

// ---- models of peers ----

class PeerAttention : public testing::TestWithParam<const char*> {
 protected:
  PeerAttention()
      : file_(
            read_safetensors(std::string(SGMAE_TEST_DATA) + "/nn/" + GetParam() + ".safetensors")),
        model_(peer_config(GetParam()), 0) {
    at::set_num_threads(1);  // tiny tensors: threads would only wait for each other
    for (const auto& [name, tensor] : file_.tensors) theirs_ += name.starts_with("param.");
    for (Parameter& p : model_.parameters()) p.value.copy_(golden("param." + p.name));
    model_.parameters_changed();
  }
  const at::Tensor& golden(const std::string& name) const {
    const at::Tensor* tensor = file_.find(name);
    if (!tensor) throw std::runtime_error("no golden " + name);
    return *tensor;
  }

  // Tokens and every gradient, forward and backward through the whole encoder.
  void expect_theirs(double tolerance) {
    const VitConfig& c = model_.config();
    const at::Tensor &pixels = golden("pixels"), &dtokens = golden("dtokens");
    EncoderTrace trace;
    at::Tensor dpixels;
    const at::Tensor tokens = model_.encoder().forward(
        pixels, whole_image(pixels.size(0), c.n_patches()), &trace, nullptr);
    EXPECT_LT(relative_error(tokens.view(dtokens.sizes()), golden("tokens")), tolerance);
    model_.encoder().backward(
        dtokens.view({-1, c.size.dim}).to(tokens.scalar_type()).to(tokens.device()), trace,
        &dpixels);
    EXPECT_LT(relative_error(dpixels, golden("dpixels")), tolerance);
    expect_their_gradients(tolerance);
  }
  void expect_their_gradients(double tolerance) const {
    for (const Parameter& p : model_.parameters())
      EXPECT_LT(relative_error(p.grad, golden("grad." + p.name)), tolerance) << p.name;
  }

  TensorFile file_;
  Vit model_;
  std::size_t theirs_ = 0;
};

// 1e-5: both sides sum in fp32, in different orders.
TEST_P(PeerAttention, TokensAndEveryGradientEqualThePeers) {
  EXPECT_EQ(model_.parameters().size(), theirs_) << "the models have the same parameters";
  expect_theirs(1e-5);
}

TEST_P(PeerAttention, TokensInUseAreThoseOfTraining) {
  EXPECT_LT(relative_error(model_.encode(golden("pixels")), golden("tokens")), 1e-5);
}

// What a detector reads: ViTDet's tokens are the last block's, without a norm.
class ViTDetFeatures : public PeerAttention {};

TEST_P(ViTDetFeatures, OfTheLastBlockAreTheirsToo) {
  EncoderTrace trace;
  const std::vector<at::Tensor> features =
      model_.encoder().forward_features(golden("pixels"), {model_.config().size.depth - 1}, &trace);
  EXPECT_LT(relative_error(features[0], golden("tokens")), 1e-5);
  model_.encoder().backward_features({golden("dtokens")}, trace);
  expect_their_gradients(1e-5);
}

// bf16 keeps 8 bits of each activation, 0.4 %, which adds up over the layers.
TEST_P(PeerAttention, Bf16StaysNear) {
  model_.set_precision(Precision::bf16);
  expect_theirs(0.05);
}

TEST_P(PeerAttention, ComputesOnOtherDevicesToo) {
  model_.move_to(other_device());
  expect_theirs(1e-5);
}

INSTANTIATE_TEST_SUITE_P(Models, PeerAttention,
                         testing::Values("vitdet_square", "vitdet_wide", "beit"),
                         [](const auto& info) { return std::string(info.param); });

INSTANTIATE_TEST_SUITE_P(Models, ViTDetFeatures, testing::Values("vitdet_square", "vitdet_wide"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace sgmae
