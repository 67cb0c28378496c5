// Oracle: heads and loss written out in double precision under autograd, on what the encoders give;
// the encoder's own backward for what comes below (tests/nn). Formulas of the paper and its
// published code for first weights, positions and momentum. Of two processes, one with the images
// of both.
#include "sgmae/contrast/moco.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <map>

#include "sgmae/base/error.h"
#include "sgmae/dense/layers.h"
#include "sgmae/io/safetensors.h"
#include "tests/nn/listener.h"
#include "tests/support/errors.h"
#include "tests/support/processes.h"
#include "tests/support/tensors.h"

namespace sgmae {
namespace {

MocoConfig small_config() {
  MocoConfig c;
  c.encoder.height = 12, c.encoder.width = 8, c.encoder.patch_size = 4;
  c.encoder.size = {16, 2, 2};
  c.encoder.mlp_hidden = 24;
  c.hidden = 20, c.features = 6;
  return c;
}

at::Tensor view(std::uint64_t which, std::int64_t images = 6) {
  return noise({images, 3, 12, 8}, which);
}

std::map<std::string, at::Tensor> by_name(const std::vector<Parameter>& parameters,
                                          at::Tensor Parameter::*what) {
  std::map<std::string, at::Tensor> named;
  for (const Parameter& p : parameters) named[p.name] = p.*what;
  return named;
}

TEST(Moco, BeginsWithThePublishedWeights) {
  MocoConfig c = small_config();
  c.encoder.size = {96, 2, 3};
  c.encoder.mlp_hidden = 192;
  Moco model(c, 3);
  const auto value = by_name(model.parameters(), &Parameter::value);
  const auto expect_uniform = [&](const std::string& name, double bound) {
    const at::Tensor& w = value.at(name);
    EXPECT_LE(w.abs().max().item<double>(), bound * 1.0001) << name;
    EXPECT_NEAR(w.std().item<double>(), bound / std::sqrt(3), 0.03 * bound) << name;
  };
  expect_uniform("blocks.1.attn.qkv.weight", std::sqrt(6.0 / (96 + 96)));
  expect_uniform("blocks.0.attn.proj.weight", std::sqrt(6.0 / (96 + 96)));
  expect_uniform("blocks.1.mlp.fc1.weight", std::sqrt(6.0 / (96 + 192)));
  expect_uniform("patch_embed.proj.weight", std::sqrt(6.0 / (3 * 16 + 96)));
  EXPECT_NEAR(value.at("cls_token").std().item<double>(), 1e-6, 2.5e-7);
  for (const auto& [name, tensor] : value)
    if (name.ends_with(".bias")) {
      EXPECT_EQ(tensor.abs().max().item<double>(), 0) << name;
    }
  EXPECT_EQ(value.count("projector.6.weight"), 1u);
  EXPECT_EQ(value.at("predictor.3.weight").sizes(), at::IntArrayRef({6, 20}));
}

// Quarters: sines and cosines of the row, sines and cosines of the column; 0 for the class token.
TEST(Moco, PositionsCountRowsFirst) {
  Moco model(small_config(), 3);
  const auto value = by_name(model.parameters(), &Parameter::value);
  const at::Tensor& table = value.at("pos_embed");
  ASSERT_EQ(table.sizes(), at::IntArrayRef({1, 1 + 3 * 2, 16}));
  EXPECT_EQ(table[0][0].abs().max().item<double>(), 0);
  for (int row = 0; row < 3; ++row)
    for (int column = 0; column < 2; ++column)
      for (int k = 0; k < 4; ++k) {
        const double omega = std::pow(10000.0, -k / 4.0);
        const at::Tensor at = table[0][1 + 2 * row + column];
        EXPECT_NEAR(at[k].item<double>(), std::sin(row * omega), 1e-6);
        EXPECT_NEAR(at[4 + k].item<double>(), std::cos(row * omega), 1e-6);
        EXPECT_NEAR(at[8 + k].item<double>(), std::sin(column * omega), 1e-6);
        EXPECT_NEAR(at[12 + k].item<double>(), std::cos(column * omega), 1e-6);
      }
}

// Parameters in double, leaves of autograd.
using Exact = std::map<std::string, at::Tensor>;

at::Tensor exact_head(const Exact& p, const std::string& name, int layers, at::Tensor x) {
  for (int i = 0; i < layers; ++i) {
    const bool last = i + 1 == layers;
    const std::string norm = str(name, ".", 3 * i + 1);
    x = x.mm(p.at(str(name, ".", 3 * i, ".weight")).t());
    x = at::batch_norm(x, last ? at::Tensor() : p.at(norm + ".weight"),
                       last ? at::Tensor() : p.at(norm + ".bias"), {}, {}, /*training=*/true, 0.1,
                       1e-5, false);
    if (!last) x = x.relu();
  }
  return x;
}

at::Tensor exact_loss(const at::Tensor& q, const at::Tensor& k, double t) {
  const at::Tensor cosine = q.div(q.norm(2, {1}, true)).mm(k.div(k.norm(2, {1}, true)).t());
  return at::log_softmax(cosine.div(t), 1).diagonal().mean().neg().mul(2 * t);
}

// A model some way from its beginning: the key network is another one, and no bias is 0.
Moco stirred_model(const MocoConfig& c) {
  Moco model(c, 3);
  std::uint64_t draw = 50;
  for (Parameter& p : model.parameters())
    if (p.trained()) p.value.add_(noise(p.value.sizes(), draw++).mul_(0.1));
  model.parameters_changed();
  model.follow(0.4);
  return model;
}

// The class token of the key network's encoder: an encoder of these weights.
at::Tensor key_tokens(const Moco& model, const at::Tensor& pixels) {
  Moco key(model.config(), 1);
  for (Parameter& p : key.parameters())
    for (const Parameter& other : model.other_parameters())
      if (other.name == "momentum." + p.name) p.value.copy_(other.value);
  key.parameters_changed();
  return key.encoder().encode(pixels).select(1, 0);
}

// A shift of all class tokens is lost in the first batch norm: its gradient is what rounding
// leaves.
bool is_without_effect(const Parameter& parameter) {
  return parameter.name == "norm.bias";
}

// 1e-5: fp32 through two norms over six images.
TEST(Moco, LossAndEveryGradientAreThoseOfTheAlgorithm) {
  const MocoConfig c = small_config();
  Moco model = stirred_model(c);
  Listener listener;
  const MocoLoss loss = model.forward_backward(view(1), view(2), 0.5, listener.ready());
  listener.expect_all_once(model.parameters());

  Exact p;
  for (const Parameter& one : model.parameters())
    p[one.name] = one.value.to(at::kDouble).requires_grad_();
  Exact key;
  for (const Parameter& one : model.other_parameters())
    if (one.name.starts_with("momentum.")) key[one.name.substr(9)] = one.value.to(at::kDouble);
  std::vector<at::Tensor> tokens, q, k;
  at::Tensor exact;
  {
    const at::AutoGradMode record(true);
    for (const std::uint64_t which : {1, 2}) {
      tokens.push_back(
          model.encoder().encode(view(which)).select(1, 0).to(at::kDouble).requires_grad_());
      q.push_back(exact_head(p, "predictor", 2, exact_head(p, "projector", 3, tokens.back())));
      k.push_back(exact_head(key, "projector", 3, key_tokens(model, view(which)).to(at::kDouble)));
    }
    exact = exact_loss(q[0], k[1], c.temperature).add(exact_loss(q[1], k[0], c.temperature));
    torch::autograd::backward({exact.mul(0.5)}, {});
  }
  EXPECT_LT(relative_error(loss.mean, exact), 1e-5);
  EXPECT_GE(loss.right.item<double>(), 0);
  EXPECT_LE(loss.right.item<double>(), 1);

  // Below the heads: the encoder's own backward, from the exact gradient of the class tokens.
  Moco other = stirred_model(c);
  const std::vector<Parameter> encoder = other.encoder_parameters();
  Encoder walk = other.encoder();  // of the same parameters
  for (std::size_t i = 0; i < 2; ++i) {
    EncoderTrace trace;
    walk.forward(view(i + 1), whole_image(6, 6), &trace, nullptr);
    at::Tensor dlatent = at::zeros({6, 7, 16});
    dlatent.select(1, 0).copy_(tokens[i].grad());
    walk.backward(dlatent.view({-1, 16}), trace);
  }
  const auto below = by_name(encoder, &Parameter::grad);
  for (const Parameter& one : model.parameters()) {
    if (!one.trained()) continue;
    if (is_without_effect(one)) {
      EXPECT_LT(one.grad.norm().item<double>(), 1e-5);
      continue;
    }
    const auto found = below.find(one.name);
    EXPECT_LT(relative_error(one.grad, found != below.end() ? found->second : p[one.name].grad()),
              1e-5)
        << one.name;
  }
}

TEST(Moco, ThePatchProjectionIsTrainedOnlyWhenAsked) {
  for (const bool frozen : {true, false}) {
    MocoConfig c = small_config();
    c.frozen_patches = frozen;
    Moco model(c, 3);
    model.forward_backward(view(1), view(2), 1);
    for (const Parameter& p : model.parameters()) {
      if (!p.name.starts_with("patch_embed.")) {
        EXPECT_EQ(p.trained(), p.name != "pos_embed") << p.name;
        continue;
      }
      ASSERT_EQ(p.trained(), !frozen) << p.name;
      if (!frozen) {
        EXPECT_GT(p.grad.norm().item<double>(), 0) << p.name;
      }
    }
  }
}

TEST(Moco, TheKeyNetworkFollows) {
  Moco model(small_config(), 3);
  const auto both = [&] {
    const auto query = by_name(model.parameters(), &Parameter::value);
    std::vector<std::pair<at::Tensor, at::Tensor>> pairs;
    for (const Parameter& p : model.other_parameters())
      if (p.name.starts_with("momentum.")) pairs.emplace_back(p.value, query.at(p.name.substr(9)));
    return pairs;
  };
  EXPECT_EQ(both().size(), model.parameters().size() - 4) << "all but the predictor";
  for (const auto& [key, query] : both()) EXPECT_TRUE(key.equal(query)) << "begins as a copy";
  std::vector<at::Tensor> before;
  for (const auto& [key, query] : both()) {
    before.push_back(key.clone());
    query.add_(1);
  }
  model.follow(0.75);
  std::size_t i = 0;
  for (const auto& [key, query] : both())
    EXPECT_LT(relative_error(key, before[i++].add(0.25)), 1e-6);
  model.follow(1);
  i = 0;
  for (const auto& [key, query] : both())
    EXPECT_LT(relative_error(key, before[i++].add(0.25)), 1e-6) << "stays";
  model.follow(0);
  for (const auto& [key, query] : both()) EXPECT_TRUE(key.equal(query));
}

TEST(Moco, CheckpointsChangeNothingAndBf16IsNear) {
  Moco plain = stirred_model(small_config()), lean = stirred_model(small_config());
  lean.checkpoint_activations(true);
  const MocoLoss loss = plain.forward_backward(view(1), view(2), 1);
  lean.forward_backward(view(1), view(2), 1);
  for (std::size_t i = 0; i < plain.parameters().size(); ++i)
    if (plain.parameters()[i].trained()) {
      EXPECT_TRUE(plain.parameters()[i].grad.equal(lean.parameters()[i].grad))
          << plain.parameters()[i].name;
    }
  lean.set_precision(Precision::bf16);
  EXPECT_LT(relative_error(lean.forward_backward(view(1), view(2), 1).mean, loss.mean), 0.05);
}

TEST(Moco, RefusesWhatItCannotTrain) {
  MocoConfig c = small_config();
  c.encoder.class_token = false;
  EXPECT_NE(error_of(ExitCode::usage, [&] { Moco(c, 1); }).find("class token"), std::string::npos);
  c = small_config();
  c.hidden = 0;
  EXPECT_NE(error_of(ExitCode::usage, [&] { Moco(c, 1); }).find("sizes"), std::string::npos);
}

// 1e-5: the same sums in another order.
TEST(MocoInProcesses, IsOneWithAllTheirImages) {
  const TemporaryFolder folder;
  for (const int size : {1, 2})
    expect_in_processes(size, [&] {
      at::set_num_threads(1);
      const std::int64_t count = 6 / size;
      const auto own = [&](const at::Tensor& all) {
        return all.narrow(0, count * processes().rank(), count);
      };
      Moco model = stirred_model(small_config());
      const MocoLoss loss = model.forward_backward(own(view(1)), own(view(2)), 1.0 / size);
      const at::Tensor mean = loss.mean.div(size).view({1}).clone();
      processes().sum(mean);
      NamedTensors tensors{{"mean", mean}};
      for (Parameter& p : model.parameters()) {
        if (!p.trained() || is_without_effect(p)) continue;
        processes().sum(p.grad);
        tensors.emplace_back(p.name, p.grad);
      }
      if (processes().leads()) write_safetensors(folder.root() / std::to_string(size), tensors, {});
    });
  const TensorFile alone = read_safetensors(folder.root() / "1");
  const TensorFile both = read_safetensors(folder.root() / "2");
  for (const auto& [name, tensor] : alone.tensors)
    EXPECT_LT(relative_error(golden_tensor(both, name), tensor), 1e-5) << name;
}

}  // namespace
}  // namespace sgmae
