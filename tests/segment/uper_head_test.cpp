// Oracle: ATen's own layers put together in double, by running statistics; means over parts by
// hand. The whole, with gradients, is held against transformers' in segmenter_test.cpp.
#include "sgmae/segment/uper_head.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/conv_transpose2d.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/tensors.h"

namespace sgmae {
namespace {

class UperLayers : public testing::Test {
 protected:
  UperLayers() { parameters_.reserve(80); }

  // Values and statistics that are not those that layers begin with.
  void drawn() {
    std::uint64_t seed = 100;
    for (Parameter& p : parameters_) p.value.copy_(noise(p.value.sizes(), ++seed));
    for (RunningStatistics& one : running_) {
      one.mean.copy_(noise(one.mean.sizes(), ++seed));
      one.var.copy_(noise(one.var.sizes(), ++seed).square().add_(0.5));
    }
  }
  at::Tensor exact(const std::string& name) const {
    for (const Parameter& p : parameters_)
      if (p.name == name) return p.value.to(at::kDouble);
    ADD_FAILURE() << "no " << name;
    return {};
  }
  at::Tensor normed(const at::Tensor& x, const std::string& name) const {
    for (const RunningStatistics& one : running_)
      if (one.name == name)
        return at::batch_norm(x, exact(name + ".weight"), exact(name + ".bias"),
                              one.mean.to(at::kDouble), one.var.to(at::kDouble), false, 0, 1e-5,
                              false);
    ADD_FAILURE() << "no " << name;
    return {};
  }

  const at::NoGradGuard by_running_statistics_;
  std::vector<Parameter> parameters_;
  std::deque<RunningStatistics> running_;
  Initialiser init_{parameters_, 7};
  LayerMaker make_{init_, &running_};
};

TEST_F(UperLayers, TheNeckMakesFourSizes) {
  const SegmentNeck neck(8, make_);
  drawn();
  std::vector<at::Tensor> maps, wide;
  for (std::uint64_t i = 0; i < 4; ++i) {
    maps.push_back(noise({2, 8, 5, 3}, i));
    wide.push_back(maps.back().to(at::kDouble));
  }
  const std::vector<at::Tensor> levels = neck.forward(maps, at::kFloat);
  const auto doubled = [&](const at::Tensor& x, const std::string& name) {
    return at::conv_transpose2d(x, exact(name + ".weight"), exact(name + ".bias"), {2, 2});
  };
  const at::Tensor twice = at::gelu(normed(doubled(wide[0], "fpn1.0"), "fpn1.1"));
  EXPECT_LT(relative_error(levels[0], doubled(twice, "fpn1.3")), 1e-6);
  EXPECT_LT(relative_error(levels[1], doubled(wide[1], "fpn2.0")), 1e-6);
  EXPECT_TRUE(levels[2].equal(maps[2]));
  EXPECT_TRUE(levels[3].equal(at::max_pool2d(maps[3], {2, 2})));
  const at::Tensor one = noise({1, 8, 1, 4}, 9);
  EXPECT_TRUE(neck.forward({one, one, one, one}, at::kFloat)[3].equal(at::max_pool2d(one, {1, 2})));
}

// 1e-5: running variances and weights are whatever was drawn.
// Part i of s along a side of n are the places from floor(i n / s) up to ceil((i + 1) n / s).
TEST_F(UperLayers, PooledPartsOfOddSizesOverlap) {
  for (const std::int64_t scale : {1, 2, 3, 6}) {
    parameters_.clear();
    running_.clear();
    const std::int64_t rows = 5, columns = 7;
    const PooledPart part{scale, make_.normed_convolution("p", 4, 3, 1)};
    drawn();
    const at::Tensor x = noise({2, 4, rows, columns}, 1), wide = x.to(at::kDouble);
    at::Tensor pooled = at::zeros({2, 4, scale, scale}, at::kDouble);
    const auto begin = [&](std::int64_t i, std::int64_t n) { return i * n / scale; };
    const auto end = [&](std::int64_t i, std::int64_t n) {
      return ((i + 1) * n + scale - 1) / scale;
    };
    for (std::int64_t i = 0; i < scale; ++i)
      for (std::int64_t j = 0; j < scale; ++j)
        pooled.select(2, i).select(2, j).copy_(wide.slice(2, begin(i, rows), end(i, rows))
                                                   .slice(3, begin(j, columns), end(j, columns))
                                                   .mean({2, 3}));
    const at::Tensor through = at::relu(normed(at::conv2d(pooled, exact("p.conv.weight")), "p.bn"));
    const at::Tensor expected =  // never larger than x
        scale > rows ? at::upsample_bilinear2d(through, {rows, columns}, false) : through;
    EXPECT_LT(relative_error(part.forward(x, at::kFloat), expected), 1e-5) << scale;
  }
}

TEST_F(UperLayers, TheAuxiliaryHeadIsAConvolutionAndAClassifier) {
  SegmenterConfig c;
  c.backbone.size = {8, 4, 2};
  c.classes = 5;
  c.auxiliary_channels = 6;
  const AuxiliaryHead head(c, make_);
  drawn();
  const at::Tensor x = noise({2, 8, 5, 3}, 1);
  const at::Tensor hidden = at::relu(
      normed(at::conv2d(x.to(at::kDouble), exact("auxiliary_head.convs.0.conv.weight"), {}, 1, 1),
             "auxiliary_head.convs.0.bn"));
  const at::Tensor expected = at::conv2d(hidden, exact("auxiliary_head.classifier.weight"),
                                         exact("auxiliary_head.classifier.bias"));
  EXPECT_LT(relative_error(head.logits(x, at::kFloat), expected), 1e-6);
}

}  // namespace
}  // namespace sgmae
