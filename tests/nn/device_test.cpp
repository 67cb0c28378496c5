// Oracle: the same model on the CPU, whose kernels are held against peers elsewhere
// (nn/mae_test.cpp, nn/vit_training_test.cpp), for a model on another device
// (support/other_device.h); the words of errors for devices that are not here.
#include "sgmae/nn/device.h"

#include <ATen/Parallel.h>
#include <ATen/ops/argsort.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "sgmae/base/error.h"
#include "sgmae/nn/drop_path.h"
#include "sgmae/nn/mae.h"
#include "sgmae/nn/vit.h"
#include "tests/nn/listener.h"
#include "tests/pretend_device.h"
#include "tests/support/errors.h"
#include "tests/support/other_device.h"
#include "tests/support/tensors.h"
#include "tests/tiny_mae.h"

namespace sgmae {
namespace {

TEST(PretendDevice, IsNotTheCpu) {
  const at::Tensor there = at::randn({3, 4}).to(pretend_device());
  EXPECT_EQ(there.device(), pretend_device());
  EXPECT_TRUE(there.mul(2).cpu().equal(there.cpu().mul(2)));
  EXPECT_THROW(there.add(at::randn({3, 4})), c10::Error);  // as on a GPU
  EXPECT_DEATH(static_cast<void>(there.data_ptr<float>()[0] = 1), "");
}

// Gradients of fp32 differ by the order of sums, those of bf16 by what each step rounds (2^-9),
// attention's weights on the CPU among it, which adds up over the layers. Of 240 drawn models the
// worst differed by 3.4e-2.
double tolerance(Precision precision) {
  return precision == Precision::fp32 ? 1e-5 : 5e-2;
}

void expect_same_gradients(const std::vector<Parameter>& there, const std::vector<Parameter>& here,
                           double tolerance) {
  ASSERT_EQ(there.size(), here.size());
  for (std::size_t i = 0; i < here.size(); ++i) {
    EXPECT_EQ(there[i].value.device(), other_device());
    if (!here[i].trained()) continue;
    EXPECT_EQ(there[i].grad.device(), other_device());
    EXPECT_LT(relative_error(there[i].grad, here[i].grad), tolerance) << here[i].name;
  }
}

class OnDevice : public testing::TestWithParam<std::tuple<Precision, bool>> {
 protected:
  void SetUp() override {
    other_device();
    at::set_num_threads(1);  // tiny tensors: threads would only wait
  }
};

TEST_P(OnDevice, MaeTrainsAsOnTheCpu) {
  const auto [precision, norm_pix] = GetParam();
  Mae here(two_blocks(norm_pix), 1), there(two_blocks(norm_pix), 1);
  for (Mae* model : {&here, &there}) model->set_precision(precision);
  there.move_to(other_device());
  const at::Tensor pixels = at::randn({3, 3, 16, 24});
  const std::int64_t n = here.config().n_patches();
  const MaskPlan plan{at::argsort(at::rand({3, n}), /*stable=*/true, 1), n / 4};

  at::Tensor dpixels, same_dpixels;
  const MaeLoss loss = here.forward_backward(pixels, plan, 0.5, &dpixels);
  const MaeLoss same = there.forward_backward(pixels, plan, 0.5, &same_dpixels);
  EXPECT_LT(relative_error(same_dpixels, dpixels), tolerance(precision));
  EXPECT_LT(relative_error(same.mean, loss.mean), tolerance(precision));
  EXPECT_LT(relative_error(same.per_patch, loss.per_patch), tolerance(precision));
  expect_same_gradients(there.parameters(), here.parameters(), tolerance(precision));

  Taps here_taps({"encoder.1.attention", "decoder.0.attention_out", "decoder.1.block_out"});
  Taps there_taps = here_taps;
  const MaeOutput expected = here.forward(pixels, plan, &here_taps);
  const MaeOutput found = there.forward(pixels, plan, &there_taps);
  ASSERT_TRUE(found.pred.is_cpu() && found.latent.is_cpu());  // where the pixels are
  EXPECT_LT(relative_error(found.pred, expected.pred), tolerance(precision));
  EXPECT_LT(relative_error(found.latent, expected.latent), tolerance(precision));
  EXPECT_NEAR(found.loss, expected.loss, tolerance(precision) * expected.loss);
  for (const auto& [name, value] : here_taps.values()) {
    ASSERT_TRUE(there_taps[name].is_cpu());
    EXPECT_LT(relative_error(there_taps[name], value), tolerance(precision)) << name;
  }
  EXPECT_EQ(peak_device_memory(other_device()) > 0, other_device().is_cuda());
  EXPECT_EQ(there.encode(pixels.to(other_device())).device(), other_device());
}

TEST(PretendDevice, CountsWhatCrosses) {
  const auto crossed = [](auto what) {
    const Transfers t = transfers_of(what);
    return std::vector{t.to_device, t.to_host, t.waits};
  };
  const at::Device device = pretend_device();
  const at::Tensor here = at::randn({3}), pinned = here.pin_memory();
  at::Tensor there;
  using Count = std::vector<std::int64_t>;
  EXPECT_EQ(crossed([&] { there = here.to(device); }), (Count{1, 0, 1}));
  EXPECT_EQ(crossed([&] { here.to(device, /*non_blocking=*/true); }), (Count{1, 0, 1}));
  EXPECT_EQ(crossed([&] { pinned.to(device); }), (Count{1, 0, 1}));
  EXPECT_EQ(crossed([&] { pinned.narrow(0, 1, 2).to(device, true); }), (Count{1, 0, 0}));
  EXPECT_EQ(crossed([&] { there.mul_(2).add(there.clone()); }), (Count{0, 0, 0}));
  EXPECT_EQ(crossed([&] { there.sum().item<double>(); }), (Count{0, 1, 1}));
  EXPECT_EQ(crossed([&] { there.cpu(); }), (Count{0, 1, 1}));
  EXPECT_EQ(crossed([&] { there.equal(there.clone()); }), (Count{0, 1, 1}));
  EXPECT_EQ(crossed([&] { there.index({there.gt(0)}); }), (Count{0, 1, 1}));
}

TEST(PretendDevice, IsSentToWithoutWaiting) {
  const at::Tensor here = at::randn({3, 4});
  const at::Device device = pretend_device();
  at::Tensor there;
  const Transfers sent = transfers_of([&] { there = send(here.t(), device); });
  EXPECT_EQ(sent.to_device, 1);
  EXPECT_EQ(sent.waits, 0);
  EXPECT_EQ(there.device(), device);
  EXPECT_TRUE(there.cpu().equal(here.t()));
  EXPECT_EQ(transfers_of([&] { send(there, device), send(here, at::kCPU); }).to_device, 0);
  EXPECT_TRUE(send(there, at::kCPU).equal(here.t()));
}

class OnPretendDevice : public OnDevice {};

// A step queues its work and waits for nothing; only what it is given crosses.
TEST_P(OnPretendDevice, AStepReadsNothingBack) {
  const auto [precision, flag] = GetParam();
  pretend_device();
  Mae mae(two_blocks(flag), 1);
  mae.set_precision(precision);
  mae.move_to(pretend_device());
  const at::Tensor pixels = at::randn({3, 3, 16, 24}).pin_memory(), random = at::rand({3, 24});
  const MaskPlan plan{at::argsort(random, /*stable=*/true, 1), 6};
  at::Tensor dpixels;
  MaeLoss loss;
  Transfers step = transfers_of([&] { loss = mae.forward_backward(pixels, plan, 0.5, &dpixels); });
  EXPECT_EQ(step.to_host, 0);
  EXPECT_EQ(step.to_device, 2) << "pixels and plan";
  EXPECT_EQ(step.waits, 0);
  EXPECT_EQ(loss.mean.device(), pretend_device());

  VitConfig config = encoder_config(two_blocks(false));
  config.pooling = flag ? Pooling::mean : Pooling::cls;
  config.classes = 5;
  Vit vit(config, 1);
  vit.set_precision(precision);
  vit.move_to(pretend_device());
  step = transfers_of([&] {
    VitTrace trace;
    trace.encoder.drop_path = draw_drop_path(1, 0, {0, 1, 2}, 2, 0.4, pretend_device());
    const at::Tensor scores = vit.forward(pixels, trace);
    vit.backward(scores, trace, &dpixels);
    vit.encoder().forward_features(pixels, {0, 1}, nullptr);
  });
  EXPECT_EQ(step.to_host, 0);
  EXPECT_EQ(step.to_device, 3) << "drop path, and pixels twice";
  EXPECT_EQ(step.waits, 0);
}

TEST_P(OnDevice, VitTrainsAsOnTheCpu) {
  const auto [precision, pooled_mean] = GetParam();
  VitConfig config;
  config.height = config.width = 16;
  config.patch_size = 4;
  config.size = {32, 3, 4};
  config.mlp_hidden = 64;
  config.registers = 2;
  config.layer_scale = true;
  config.pooling = pooled_mean ? Pooling::mean : Pooling::cls;
  config.classes = 5;
  Vit here(config, 1), there(config, 1);
  for (Parameter& parameter : here.parameters())  // of a size that shows every gradient
    if (parameter.name.find("gamma") != std::string::npos || parameter.name == "head.weight")
      parameter.value.copy_(at::randn(parameter.value.sizes()));
  for (std::size_t i = 0; i < here.parameters().size(); ++i)
    there.parameters()[i].value.copy_(here.parameters()[i].value);
  for (Vit* model : {&here, &there}) model->set_precision(precision);
  there.move_to(other_device());

  const at::Tensor pixels = at::randn({4, 3, 16, 16}), dscores = at::randn({4, 5});
  VitTrace here_trace, there_trace;
  here_trace.encoder.drop_path = draw_drop_path(1, 0, {0, 1, 2, 3}, 3, 0.4);
  there_trace.encoder.drop_path = draw_drop_path(1, 0, {0, 1, 2, 3}, 3, 0.4, other_device());
  const at::Tensor scores = here.forward(pixels, here_trace);
  const at::Tensor found = there.forward(pixels, there_trace);
  EXPECT_EQ(found.device(), other_device());
  EXPECT_LT(relative_error(found, scores), tolerance(precision));
  Listener listener;
  there_trace.encoder.gradients_ready = listener.ready();
  at::Tensor here_dpixels, there_dpixels;
  here.backward(dscores, here_trace, &here_dpixels);
  there.backward(dscores, there_trace, &there_dpixels);
  listener.expect_all_once(there.parameters());
  EXPECT_LT(relative_error(there_dpixels, here_dpixels), tolerance(precision));
  expect_same_gradients(there.parameters(), here.parameters(), tolerance(precision));

  const at::Tensor logits = there.logits(pixels);
  ASSERT_TRUE(logits.is_cpu());
  EXPECT_LT(relative_error(logits, here.logits(pixels)), tolerance(precision));
}

const auto kinds =
    testing::Combine(testing::Values(Precision::fp32, Precision::bf16), testing::Bool());

std::string name_of_kind(const testing::TestParamInfo<std::tuple<Precision, bool>>& info) {
  return std::string(std::get<0>(info.param) == Precision::fp32 ? "fp32" : "bf16") +
         (std::get<1>(info.param) ? "_normed" : "_plain");
}

INSTANTIATE_TEST_SUITE_P(All, OnDevice, kinds, name_of_kind);
INSTANTIATE_TEST_SUITE_P(All, OnPretendDevice, kinds, name_of_kind);

TEST(OpenDevice, KnowsTheCpuAndThePretendDevice) {
  EXPECT_EQ(open_device("cpu"), at::Device(at::kCPU));
  pretend_device();
  EXPECT_EQ(open_device("pretend"), pretend_device());
}

std::string refusal(const std::string& name) {
  return error_of(ExitCode::usage, [&] { open_device(name); });
}

TEST(OpenDevice, RefusesUnknownNames) {
  for (const char* name : {"", "gpu", "cuda:x", "cuda:-1", "meta", "cpu cuda", "mps"})
    EXPECT_NE(refusal(name).find("use cpu, cuda, or cuda:N"), std::string::npos) << refusal(name);
}

// With the CUDA libraries installed and a GPU this is no refusal; without either it names the cure.
TEST(OpenDevice, SaysWhatIsMissingForCuda) {
  try {
    EXPECT_EQ(open_device("cuda").type(), at::kCUDA);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    EXPECT_NE(std::string(error.what()).find("--device cpu"), std::string::npos) << error.what();
  }
}

TEST(PeakMemory, IsNotCountedOnTheCpu) {
  EXPECT_EQ(peak_device_memory(at::kCPU), 0);
}

}  // namespace
}  // namespace sgmae
