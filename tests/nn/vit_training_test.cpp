// Training of a Vit. Oracle: loss and every gradient of timm 1.0.31's VisionTransformer with both
// poolings and given drop-path factors (tests/golden/classifier.py).
#include <ATen/Parallel.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/softmax.h>
#include <gtest/gtest.h>

#include "sgmae/io/safetensors.h"
#include "sgmae/nn/vit.h"

namespace sgmae {
namespace {

struct Case {
  const char* name;
  Pooling pooling;
};

class VitTraining : public ::testing::TestWithParam<Case> {
 protected:
  VitTraining()
      : golden_(read_safetensors(std::string(SGMAE_TEST_DATA) + "/nn/classifier_" +
                                 GetParam().name + ".safetensors")),
        vit_(config(), 0) {
    at::set_num_threads(1);  // tiny tensors: threads would only wait for each other
    std::size_t known = 0;
    for (Parameter& parameter : vit_.parameters()) {
      parameter.value.copy_(*golden_.find("param." + parameter.name));
      ++known;
    }
    for (const auto& [name, tensor] : golden_.tensors) known -= name.starts_with("param.");
    EXPECT_EQ(known, 0u) << "the models have the same parameters";
    vit_.parameters_changed();
  }

  static VitConfig config() {
    VitConfig c;
    c.height = 8, c.width = 12, c.patch_size = 4;
    c.size = {8, 3, 2};
    c.mlp_hidden = 16;
    c.pooling = GetParam().pooling;
    c.classes = 5;
    return c;
  }

  std::vector<DropPath> given_factors() const {
    std::vector<DropPath> plan;
    for (std::int64_t i = 0; i < 3; ++i)
      plan.push_back(
          {(*golden_.find("factors"))[i][0].clone(), (*golden_.find("factors"))[i][1].clone()});
    return plan;
  }

  // Relative to the largest entry of the tensor: fp32 sums in another order.
  void expect_close(const at::Tensor& got, const std::string& name, double tolerance) const {
    const at::Tensor& want = *golden_.find(name);
    const double scale = want.abs().max().item<double>();
    EXPECT_LE(got.sub(want).abs().max().item<double>(), tolerance * scale + 1e-7) << name;
  }

  // One step; returns the loss.
  double step(VitTrace& trace) {
    const at::Tensor& target = *golden_.find("target");
    const at::Tensor logits = vit_.forward(*golden_.find("pixels"), trace);
    last_logits_ = logits;
    const at::Tensor dlogits =
        at::softmax(logits, 1).sub(target).div(static_cast<double>(logits.size(0)));
    vit_.backward(dlogits, trace);
    return -target.mul(at::log_softmax(logits, 1)).sum(1).mean().item<double>();
  }

  TensorFile golden_;
  Vit vit_;
  at::Tensor last_logits_;
};

TEST_P(VitTraining, LossAndEveryGradientEqualTimms) {
  VitTrace trace;
  trace.encoder.drop_path = given_factors();
  const double loss = step(trace);
  EXPECT_NEAR(loss, golden_.find("loss")->item<double>(), 1e-5 * loss);
  expect_close(last_logits_, "logits", 1e-5);
  for (const Parameter& parameter : vit_.parameters())
    expect_close(parameter.grad, "grad." + parameter.name, 1e-5);
}

TEST_P(VitTraining, TheTrainingForwardIsTheOneOfUse) {
  VitTrace trace;
  step(trace);
  const at::Tensor logits = vit_.logits(*golden_.find("pixels"));
  EXPECT_LE(logits.sub(last_logits_).abs().max().item<double>(), 1e-6);
  expect_close(logits, "plain.logits", 1e-5);
}

TEST_P(VitTraining, GradientsAddUp) {
  VitTrace first;
  step(first);
  const at::Tensor once = vit_.parameters().front().grad.clone();
  VitTrace second;
  step(second);
  EXPECT_LE(vit_.parameters().front().grad.sub(once.mul(2)).abs().max().item<double>(), 1e-6);
}

TEST_P(VitTraining, CheckpointedBlocksGiveTheSameGradients) {
  at::Tensor expected;
  for (const bool checkpoint : {false, true}) {
    vit_.checkpoint_activations(checkpoint);
    flat_gradients(vit_.parameters()).zero_();
    VitTrace trace;
    trace.encoder.drop_path = given_factors();
    step(trace);
    const at::Tensor gradients = flat_gradients(vit_.parameters()).clone();
    if (checkpoint) {
      EXPECT_TRUE(gradients.equal(expected));
    }
    expected = gradients;
  }
}

TEST_P(VitTraining, Bf16StaysNear) {
  vit_.set_precision(Precision::bf16);
  VitTrace trace;
  trace.encoder.drop_path = given_factors();
  const double loss = step(trace);
  // bf16 keeps 8 bits: about 0.4 % of each activation, of random sign.
  EXPECT_NEAR(loss, golden_.find("loss")->item<double>(), 0.02 * loss);
  for (const Parameter& parameter : vit_.parameters())
    expect_close(parameter.grad, "grad." + parameter.name, 0.1);
}

INSTANTIATE_TEST_SUITE_P(Poolings, VitTraining,
                         ::testing::Values(Case{"mean", Pooling::mean}, Case{"cls", Pooling::cls}),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace sgmae
