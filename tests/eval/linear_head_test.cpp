// Oracle: the head's formulas written out in double; gradients by central differences.
#include "sgmae/eval/linear_head.h"

#include <ATen/Parallel.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <cmath>

#include "sgmae/base/error.h"
#include "sgmae/base/rng.h"
#include "tests/support/processes.h"

namespace sgmae {
namespace {

constexpr std::int64_t batch = 12, dim = 5, classes = 4;
const std::vector<std::int64_t> labels{0, 1, 2, 3, 3, 2, 1, 0, 0, 0, 2, 1};

at::Tensor features(std::uint64_t seed) {
  at::Tensor out = at::empty({batch, dim});
  Rng rng(seed, 0, 0, Purpose::probe);
  for (std::int64_t i = 0; i < out.numel(); ++i)
    out.data_ptr<float>()[i] = static_cast<float>(3 + 2 * rng.normal());
  return out;
}

double value(const at::Tensor& tensor, std::int64_t i) {
  return tensor.data_ptr<float>()[i];
}

// Mean cross-entropy with batch statistics.
double slow_loss(LinearHead& head, const at::Tensor& x) {
  double total = 0;
  for (std::int64_t i = 0; i < batch; ++i) {
    double sum = 0, own = 0;
    for (std::int64_t c = 0; c < classes; ++c) {
      double logit = value(head.parameters()[1].value, c);
      for (std::int64_t d = 0; d < dim; ++d) {
        double mean = 0, variance = 0;
        for (std::int64_t j = 0; j < batch; ++j) mean += value(x, j * dim + d) / batch;
        for (std::int64_t j = 0; j < batch; ++j)
          variance += std::pow(value(x, j * dim + d) - mean, 2) / batch;
        logit += value(head.parameters()[0].value, c * dim + d) * (value(x, i * dim + d) - mean) /
                 std::sqrt(variance + 1e-6);
      }
      sum += std::exp(logit);
      if (c == labels[static_cast<std::size_t>(i)]) own = logit;
    }
    total += std::log(sum) - own;
  }
  return total / batch;
}

TEST(LinearHead, LossAndGradientsEqualTheSlowOnes) {
  LinearHead head(dim, classes, 3);
  head.parameters()[0].value.mul_(50);  // so that classes matter
  const at::Tensor x = features(1);
  const double loss = head.forward_backward(x, labels, 0.5);
  EXPECT_NEAR(loss, slow_loss(head, x), 1e-6);  // fp32 logits of order 1
  for (Parameter& p : head.parameters())
    for (std::int64_t i = 0; i < p.value.numel(); ++i) {
      float& w = p.value.data_ptr<float>()[i];
      const float before = w;
      w = before + 0.01f;
      const double above = slow_loss(head, x), high = w;
      w = before - 0.01f;
      const double below = slow_loss(head, x), low = w;
      w = before;
      // Third derivatives of order 1 leave 1e-4 / 6 of error.
      EXPECT_NEAR(p.grad.data_ptr<float>()[i], 0.5 * (above - below) / (high - low), 2e-5)
          << p.name << " " << i;
    }
  head.forward_backward(x, labels, 0.5);  // adds
  LinearHead once(dim, classes, 3);
  once.parameters()[0].value.mul_(50);
  once.forward_backward(x, labels, 1.0);
  EXPECT_TRUE(head.parameters()[0].grad.allclose(once.parameters()[0].grad, 1e-5, 1e-7));
}

// PyTorch's BatchNorm1d: running <- 0.9 running + 0.1 batch, the variance unbiased.
TEST(LinearHead, RunningStatisticsFollowTheBatches) {
  LinearHead head(dim, classes, 0);
  std::vector<double> mean(dim), variance(dim, 1.0);
  for (std::uint64_t step = 1; step <= 3; ++step) {
    const at::Tensor x = features(step);
    head.forward_backward(x, labels);
    if (step > 1) head.move_statistics();  // of the first two together
    for (std::int64_t d = 0; d < dim; ++d) {
      double m = 0, v = 0;
      for (std::int64_t j = 0; j < batch; ++j) m += value(x, j * dim + d) / batch;
      for (std::int64_t j = 0; j < batch; ++j)
        v += std::pow(value(x, j * dim + d) - m, 2) / (batch - 1);
      mean[d] = 0.9 * mean[d] + 0.1 * m;
      variance[d] = 0.9 * variance[d] + 0.1 * v;
    }
  }
  const NamedTensors tensors = head.tensors();
  EXPECT_EQ(tensors[0].first, "head.0.running_mean");
  EXPECT_EQ(tensors[1].first, "head.0.running_var");
  EXPECT_EQ(tensors[2].first, "head.0.num_batches_tracked");
  EXPECT_EQ(tensors[3].first, "head.1.weight");
  EXPECT_EQ(tensors[4].first, "head.1.bias");
  EXPECT_EQ(tensors[2].second.item<std::int64_t>(), 3);
  const at::Tensor x = features(9), scores = head.scores(x);
  for (std::int64_t d = 0; d < dim; ++d) {
    EXPECT_NEAR(value(tensors[0].second, d), mean[d], 1e-5);
    EXPECT_NEAR(value(tensors[1].second, d), variance[d], 1e-5);
  }
  for (std::int64_t c = 0; c < classes; ++c) {
    double logit = 0;
    for (std::int64_t d = 0; d < dim; ++d)
      logit += value(tensors[3].second, c * dim + d) * (value(x, d) - mean[d]) /
               std::sqrt(variance[d] + 1e-6);
    EXPECT_NEAR(value(scores, c), logit, 1e-5);
  }
}

// 20,000 draws: mean and deviation within four standard errors of 0.01.
TEST(LinearHead, WeightsBeginSmallAndBiasesAtZero) {
  LinearHead head(200, 100, 7);
  const at::Tensor& weight = head.parameters()[0].value;
  EXPECT_NEAR(weight.mean().item<double>(), 0, 4 * 0.01 / std::sqrt(20'000));
  EXPECT_NEAR(weight.std().item<double>(), 0.01, 4 * 0.01 / std::sqrt(40'000));
  EXPECT_EQ(head.parameters()[1].value.abs().max().item<float>(), 0);
}

TEST(LinearHead, LoadsWhatItGives) {
  LinearHead head(dim, classes, 1), other(dim, classes, 2);
  head.forward_backward(features(1), labels);
  head.move_statistics();
  TensorFile file;
  file.tensors = head.tensors();
  other.load(file);
  EXPECT_TRUE(at::equal(head.scores(features(2)), other.scores(features(2))));
  LinearHead wider(dim + 1, classes, 2);
  EXPECT_THROW(wider.load(file), Error);
  file.tensors.pop_back();
  EXPECT_THROW(other.load(file), Error);
}

TEST(LinearHead, NeedsTwoImages) {
  LinearHead head(dim, classes, 1);
  EXPECT_THROW(head.forward_backward(features(1).narrow(0, 0, 1), {0}), Error);
}

// Oracle here: one process with the batches of both as one.
TEST(LinearHeadOfProcesses, SynchronisedStatisticsAreThoseOfAllBatches) {
  at::set_num_threads(1);
  expect_in_processes(2, [] {
    const at::Tensor x = features(1);
    LinearHead whole(dim, classes, 3), half(dim, classes, 3);
    const std::int64_t own = batch / 2, first = processes().rank() * own;
    whole.forward_backward(x, labels);
    half.synchronise_statistics();
    half.forward_backward(x.narrow(0, first, own),
                          {labels.begin() + first, labels.begin() + first + own}, 0.5);
    for (const Parameter& p : half.parameters()) processes().sum(p.grad);
    half.move_statistics();
    for (std::size_t k = 0; k < 2; ++k)
      EXPECT_TRUE(at::allclose(half.parameters()[k].grad, whole.parameters()[k].grad, 1e-5, 1e-6));
    const auto tensors = half.tensors();
    EXPECT_TRUE(at::allclose(tensors[0].second, x.mean({0}).mul(0.1), 1e-5, 1e-6));
    EXPECT_TRUE(at::allclose(tensors[1].second, x.var({0}).mul(0.1).add(0.9), 1e-5, 1e-6));
    EXPECT_EQ(tensors[2].second.item<std::int64_t>(), 1);
  });
}

}  // namespace
}  // namespace sgmae
