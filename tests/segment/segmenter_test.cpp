// Oracle: BeitForSemanticSegmentation of transformers (tests/golden/segmenter.py): logits, losses,
// every gradient and the running statistics after a step. Of two processes, one with both their
// batches.
#include "sgmae/segment/segmenter.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <cmath>

#include "sgmae/base/error.h"
#include "sgmae/io/safetensors.h"
#include "tests/nn/listener.h"
#include "tests/segment/golden.h"
#include "tests/support/other_device.h"
#include "tests/support/processes.h"

namespace sgmae {
namespace {

const at::Tensor& golden(const std::string& name) {
  return golden_tensor(segment_golden(), name);
}

class AgainstThePeer : public testing::Test {
 protected:
  AgainstThePeer() {
    at::set_num_threads(1);  // tiny tensors: threads would only wait for each other
  }
  SegmentationLosses step(double scale = 1, const GradientsReady& ready = {}) {
    return model_.forward_backward(golden("pixels"), golden("labels"), {}, {}, scale, ready);
  }
  Segmenter model_ = segment_golden_model();
};

// 1e-5: the peer computed in double precision, and rounded its results.
TEST_F(AgainstThePeer, LogitsAreTheSame) {
  EXPECT_LT(relative_error(model_.logits(golden("pixels")), golden("logits")), 1e-5);
}

TEST_F(AgainstThePeer, LossesEveryGradientAndTheStatisticsAreTheSame) {
  Listener listener;
  const SegmentationLosses losses = step(1, listener.ready());
  EXPECT_LT(relative_error(losses.decode, golden("loss.decode")), 1e-5);
  EXPECT_LT(relative_error(losses.total, golden("loss.total")), 1e-5);
  EXPECT_LT(relative_error(losses.decode.add(losses.auxiliary, 0.4), golden("loss.total")), 1e-5);
  EXPECT_LT(relative_error(losses.accuracy, golden("accuracy")), 1e-5);
  for (const Parameter& p : model_.parameters()) {
    const at::Tensor& exact = golden("grad." + p.name);
    // A bias in front of a batch norm has no gradient, and gets what rounding leaves of one.
    if (exact.norm().item<double>() < 1e-9) {
      EXPECT_LT(p.grad.norm().item<double>(), 1e-6) << p.name;
    } else {
      EXPECT_LT(relative_error(p.grad, exact), 1e-5) << p.name;
    }
  }
  for (const auto& [name, value] : model_.statistics())
    EXPECT_LT(relative_error(value, golden("after." + name)), 1e-6) << name;
  listener.expect_all_once(model_.parameters());
}

TEST_F(AgainstThePeer, GradientsAddUpAndScaleWithTheLoss) {
  step(0.25);
  step(0.25);
  for (const Parameter& p : model_.parameters())
    if (golden("grad." + p.name).norm().item<double>() > 1e-9) {
      EXPECT_LT(relative_error(p.grad, golden("grad." + p.name).mul(0.5)), 2e-5) << p.name;
    }
}

TEST_F(AgainstThePeer, CheckpointsChangeNothing) {
  step();
  std::vector<at::Tensor> before;
  for (Parameter& p : model_.parameters()) {
    before.push_back(p.grad.clone());
    p.grad.zero_();
  }
  model_.checkpoint_activations(true);
  step();
  std::size_t i = 0;
  for (const Parameter& p : model_.parameters()) EXPECT_TRUE(p.grad.equal(before[i++])) << p.name;
}

// Two digits: 8 bits through 6 blocks and 8 convolutions of 8 channels.
TEST_F(AgainstThePeer, Bf16IsNear) {
  model_.set_precision(Precision::bf16);
  EXPECT_LT(relative_error(model_.logits(golden("pixels")), golden("logits")), 0.05);
  EXPECT_LT(relative_error(step().total, golden("loss.total")), 0.03);
}

// One process writes what it has of both batches, and two what they have together. 1e-5: the same
// sums in another order. As many pixels are labelled in each half, so that means agree.
TEST(SegmenterInProcesses, IsOneWithAllTheirBatches) {
  const TemporaryFolder folder;
  SegmenterConfig c = segment_golden_config();
  c.dropout = 0.5;
  for (const int size : {1, 2})
    expect_in_processes(size, [&] {
      at::set_num_threads(1);
      const at::Tensor labels = noise({4, 40, 40}, 2).abs_().mul_(10).to(at::kLong).remainder(5);
      const std::int64_t count = 4 / size;
      const auto own = [&](const at::Tensor& all) {
        return all.narrow(0, count * processes().rank(), count);
      };
      Segmenter model(c, 7);
      model.forward_backward(own(noise({4, 3, 40, 40}, 1)), own(labels.to(at::kByte)), {},
                             {1, 2, 3}, 1.0 / size);
      NamedTensors tensors = model.statistics();
      for (Parameter& p : model.parameters()) {
        processes().sum(p.grad);
        tensors.emplace_back(p.name, p.grad);
      }
      if (processes().leads()) write_safetensors(folder.root() / std::to_string(size), tensors, {});
    });
  const TensorFile alone = read_safetensors(folder.root() / "1");
  const TensorFile both = read_safetensors(folder.root() / "2");
  for (const auto& [name, tensor] : alone.tensors) {
    const at::Tensor& other = golden_tensor(both, name);
    if (tensor.to(at::kDouble).norm().item<double>() > 1e-5) {
      EXPECT_LT(relative_error(other, tensor), 1e-5) << name;
    }
  }
}

// 1e-4: sums in another order through all of it.
TEST(SegmenterDevice, IsTheCpus) {
  const at::Device device = other_device();
  at::set_num_threads(1);
  Segmenter here = segment_golden_model(), there = segment_golden_model();
  there.move_to(device);
  EXPECT_LT(relative_error(there.logits(golden("pixels")).cpu(), golden("logits")), 1e-4);
  if (!device.is_cuda()) return;  // the pretended one has no backward passes
  const auto step = [](Segmenter& model) {
    return model.forward_backward(golden("pixels"), golden("labels"), {}, {}, 1).total.cpu();
  };
  EXPECT_LT(relative_error(step(there), step(here)), 1e-4);
  for (std::size_t i = 0; i < here.parameters().size(); ++i)
    if (golden("grad." + here.parameters()[i].name).norm().item<double>() > 1e-9) {
      EXPECT_LT(relative_error(there.parameters()[i].grad.cpu(), here.parameters()[i].grad), 1e-4)
          << here.parameters()[i].name;
    }
  for (std::size_t i = 0; i < here.statistics().size(); ++i)
    EXPECT_LT(relative_error(there.statistics()[i].second.to(at::kCPU, at::kFloat),
                             here.statistics()[i].second.to(at::kFloat)),
              1e-4)
        << here.statistics()[i].first;
}

TEST(Segmenter, RefusesToTrainOnOneImage) {
  Segmenter model(segment_golden_config(), 3);
  EXPECT_THROW(model.forward_backward(noise({1, 3, 40, 40}, 1), at::full({1, 40, 40}, 1, at::kByte),
                                      {}, {}, 1),
               Error);
}

TEST(Segmenter, TakesSmallerImagesAndRefusesLarger) {
  at::set_num_threads(1);
  const Segmenter model(segment_golden_config(), 3);
  for (const auto& [height, width] : {std::pair{40, 24}, {8, 8}, {16, 40}})
    EXPECT_EQ(model.logits(noise({1, 3, height, width}, 0)).sizes(),
              (std::vector<std::int64_t>{1, 5, height / 2, width / 2}));
  EXPECT_THROW(model.logits(noise({1, 3, 48, 40}, 0)), Error);
  EXPECT_THROW(model.logits(noise({1, 3, 40, 20}, 0)), Error);
}

TEST(Segmenter, NothingLabelledLeavesNoGradient) {
  at::set_num_threads(1);
  Segmenter model(segment_golden_config(), 3);
  const SegmentationLosses losses = model.forward_backward(
      noise({2, 3, 40, 40}, 0), at::full({2, 40, 40}, 255, at::kByte), {}, {}, 1);
  EXPECT_EQ(losses.total.item<float>(), 0);
  for (const Parameter& p : model.parameters())
    EXPECT_EQ(p.grad.abs().max().item<float>(), 0) << p.name;
}

TEST(Segmenter, BeginsAsThePublishedModels) {
  const Segmenter model(segment_golden_config(), 3);
  for (const Parameter& p : model.parameters()) {
    if (p.name.ends_with(".gamma")) {
      EXPECT_TRUE(p.value.eq(1).all().item<bool>()) << p.name;
    }
    if (p.name.ends_with("bias_table")) {
      EXPECT_TRUE(p.value.eq(0).all().item<bool>()) << p.name;
    }
    if (p.name.ends_with("classifier.weight")) {
      EXPECT_NEAR(p.value.std().item<double>(), 0.01, 0.004) << p.name;
    }
  }
}

// Each channel of an image is dropped or not, the same ones for the same draw, whatever the
// threads.
TEST(Segmenter, DropoutIsKeyedByTheDraw) {
  SegmenterConfig c = segment_golden_config();
  c.dropout = 0.5;
  const at::Tensor &pixels = golden("pixels"), &labels = golden("labels");
  const auto gradient = [&](const SegmentDraw& draw, int threads) {
    at::set_num_threads(threads);
    Segmenter model(c, 3);
    model.forward_backward(pixels, labels, {}, draw, 1);
    at::set_num_threads(1);
    for (const Parameter& p : model.parameters())
      if (p.name == "decode_head.classifier.weight") return p.grad.clone();
    return at::Tensor();
  };
  const at::Tensor first = gradient({1, 2, 3}, 1);
  EXPECT_LT(relative_error(gradient({1, 2, 3}, 2), first), 1e-5);
  EXPECT_GT(relative_error(gradient({1, 2, 4}, 1), first), 0.1);
}

TEST(Segmenter, LinearHeadIsAProbeOfPatches) {
  at::set_num_threads(1);
  SegmenterConfig c = segment_golden_config();
  c.head = SegmentHead::linear;
  c.taps = {3, 5};
  Segmenter model(c, 3);
  EXPECT_EQ(model.logits(noise({1, 3, 40, 24}, 0)).sizes(),
            (std::vector<std::int64_t>{1, 5, 5, 3}));
  const SegmentationLosses losses =
      model.forward_backward(golden("pixels"), golden("labels"), {}, {}, 1);
  EXPECT_NEAR(losses.total.item<double>(), std::log(5.0), 0.3);
  EXPECT_EQ(losses.auxiliary.item<float>(), 0);
  for (const Parameter& p : model.parameters()) EXPECT_EQ(p.name.find("fpn"), std::string::npos);
}

}  // namespace
}  // namespace sgmae
