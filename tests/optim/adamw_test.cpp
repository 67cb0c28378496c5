// Oracle: the update of Loshchilov & Hutter 2019 (algorithm 2) in double, value by value.
#include "sgmae/optim/adamw.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

#include "sgmae/base/error.h"
#include "sgmae/base/rng.h"
#include "sgmae/nn/block.h"
#include "sgmae/nn/mae.h"
#include "sgmae/optim/groups.h"
#include "sgmae/parallel/shard.h"
#include "tests/support/other_device.h"
#include "tests/support/processes.h"
#include "tests/support/tensors.h"

namespace sgmae {
namespace {

std::vector<Parameter> some_parameters() {
  return {{"blocks.0.mlp.fc1.weight", noise({7, 5}, 1), at::zeros({7, 5})},
          {"pos_embed", noise({1, 3, 5}, 2), at::Tensor()},
          {"blocks.0.mlp.fc1.bias", noise({7}, 3), at::zeros({7})},
          {"big.weight", noise({40, 1000}, 4), at::zeros({40, 1000})}};
}

void set_gradients(std::vector<Parameter>& parameters, std::uint64_t step) {
  for (Parameter& p : parameters)
    if (p.trained()) p.grad.copy_(noise(p.grad.sizes(), 100 + step));
}

std::vector<double> values(const at::Tensor& tensor) {
  const float* data = tensor.const_data_ptr<float>();
  return {data, data + tensor.numel()};
}

TEST(AdamW, EqualsTheFormulaStepByStep) {
  std::vector<Parameter> parameters = some_parameters();
  const at::Tensor fixed = parameters[1].value.clone();
  AdamW optimizer(parameters, {.weight_decay = 0.05});
  std::vector<std::vector<double>> theta, m, v;
  for (const Parameter& p : parameters) {
    theta.push_back(values(p.value));
    m.emplace_back(theta.back().size());
    v.emplace_back(theta.back().size());
  }
  for (int t = 1; t <= 5; ++t) {
    const double lr = 0.01 * t, scale = t == 3 ? 0.25 : 1.0;
    set_gradients(parameters, static_cast<std::uint64_t>(t));
    std::vector<at::Tensor> gradients;
    for (const Parameter& p : parameters)
      gradients.push_back(p.trained() ? p.grad.clone() : at::Tensor());
    optimizer.step(lr, scale);
    for (std::size_t k = 0; k < parameters.size(); ++k) {
      if (!parameters[k].trained()) continue;
      EXPECT_FALSE(parameters[k].grad.any().item<bool>()) << "a step uses the gradients up";
      const auto grad = values(gradients[k]), got = values(parameters[k].value);
      for (std::size_t i = 0; i < grad.size(); ++i) {
        const double g = scale * grad[i];
        if (is_decayed(parameters[k])) theta[k][i] *= 1 - lr * 0.05;
        m[k][i] = 0.9 * m[k][i] + 0.1 * g;
        v[k][i] = 0.95 * v[k][i] + 0.05 * g * g;
        const double m_hat = m[k][i] / (1 - std::pow(0.9, t));
        const double v_hat = v[k][i] / (1 - std::pow(0.95, t));
        theta[k][i] -= lr * m_hat / (std::sqrt(v_hat) + 1e-8);
        // A handful of fp32 roundings a step on values of a few units.
        ASSERT_NEAR(got[i], theta[k][i], 3e-6) << parameters[k].name << " " << i << " step " << t;
      }
    }
  }
  EXPECT_TRUE(at::equal(parameters[1].value, fixed)) << "what has no gradient stays";
  EXPECT_EQ(optimizer.steps(), 5);
}

TEST(AdamW, GoesOnExactlyFromItsState) {
  std::vector<Parameter> one = some_parameters(), other = some_parameters();
  AdamW first(one, {}), second(other, {});
  for (std::uint64_t t = 0; t < 3; ++t) {
    set_gradients(one, t);
    first.step(0.01);
  }
  TensorFile file;
  for (const auto& [name, tensor] : first.state()) file.tensors.emplace_back(name, tensor.clone());
  second.load(file);
  for (std::size_t k = 0; k < one.size(); ++k) other[k].value.copy_(one[k].value);
  for (std::uint64_t t = 3; t < 6; ++t) {
    set_gradients(one, t), set_gradients(other, t);
    first.step(0.01), second.step(0.01);
  }
  for (std::size_t k = 0; k < one.size(); ++k) EXPECT_TRUE(at::equal(other[k].value, one[k].value));
}

Parameter& named(Mae& model, const std::string& name) {
  for (Parameter& p : model.parameters())
    if (p.name == name) return p;
  throw std::logic_error(name);
}

// Oracle here: the same steps with all gradients added to the zeros that AdamW leaves.
TEST(AdamW, GradientsAfterAStepEqualThoseAddedToZeros) {
  MaeConfig config;
  config.height = config.width = 32;
  config.patch_size = 8;
  config.encoder = {32, 2, 4};
  config.decoder = {16, 2, 2};
  const MaskPlan plan{at::arange(16).expand({3, 16}).contiguous(), 4};
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {
    Mae written(config, 1), added(config, 1);
    for (Mae* model : {&written, &added}) {
      model->set_precision(precision);
      AdamW optimizer(model->parameters(), {});
      for (std::uint64_t step = 0; step < 3; ++step) {
        for (const double scale : {0.25, 0.75})  // two batches a step
          model->forward_backward(noise({3, 3, 32, 32}, step), plan, scale);
        if (step == 2) break;
        optimizer.step(0.01);
        model->parameters_changed();
        EXPECT_TRUE(named(*model, "blocks.0.mlp.fc1.weight").cleared);
        if (model == &added)
          for (Parameter& p : model->parameters()) p.cleared = false;
      }
      EXPECT_FALSE(named(*model, "blocks.0.mlp.fc1.weight").cleared);
    }
    EXPECT_TRUE(at::equal(flat_gradients(written.parameters()).view(at::kInt),
                          flat_gradients(added.parameters()).view(at::kInt)));
  }
}

TEST(AdamW, GradientsAddedAfterAStepAreNotLostUnnoticed) {
  std::vector<Parameter> parameters{{"fc1.weight", noise({7, 5}, 1), at::zeros({7, 5})},
                                    {"fc1.bias", noise({7}, 2), at::zeros({7})}};
  Linear layer{&parameters[0], &parameters[1], {}, {}};
  AdamW(parameters, {}).step(0.01);
  const at::Tensor more = noise({7, 5}, 3), dy = noise({4, 7}, 4), x = noise({4, 5}, 5);
  parameters[0].grad.add_(more);
  EXPECT_THROW(layer.add_weight_gradient(dy, x), std::logic_error);
  parameters[0].cleared = false;
  layer.add_weight_gradient(dy, x);
  EXPECT_TRUE(at::allclose(parameters[0].grad, more.add(at::mm(dy.t(), x)), 1e-5, 1e-6));
}

// Oracle here: the optimizer on the CPU, which is held against the formula above.
TEST(AdamW, StepsAlikeOnAnotherDevice) {
  std::vector<Parameter> here = some_parameters(), there = some_parameters();
  move_parameters(there, other_device());
  const std::vector<ParameterRule> rules{{1, true}, {1, true}, {0.5, false}, {0.5, true}};
  AdamW on_cpu(here, {}, rules), on_device(there, {}, rules);
  for (std::uint64_t t = 0; t < 5; ++t) {
    set_gradients(here, t), set_gradients(there, t);
    on_cpu.step(0.01, t == 2 ? 0.25 : 1), on_device.step(0.01, t == 2 ? 0.25 : 1);
  }
  for (std::size_t k = 0; k < here.size(); ++k) {
    ASSERT_EQ(there[k].value.device(), other_device());
    if (there[k].trained()) {
      EXPECT_FALSE(there[k].grad.cpu().any().item<bool>()) << here[k].name;
    }
    // A handful of fp32 roundings a step on values of a few units.
    EXPECT_TRUE(at::allclose(there[k].value.cpu(), here[k].value, 0, 3e-6)) << here[k].name;
  }
}

// Its lists of tensors are made once: the same memory is written in every step.
TEST(AdamW, AStepSendsNothingToThePretendDevice) {
  std::vector<Parameter> parameters = some_parameters();
  move_parameters(parameters, pretend_device());
  AdamW optimizer(parameters, {});
  set_gradients(parameters, 1);
  const Transfers crossed = transfers_of([&] {
    gradient_norm(parameters);
    optimizer.step(0.01, 0.5), optimizer.step(0.01);
    zero_gradients(parameters);
  });
  EXPECT_EQ(crossed.to_device + crossed.to_host, 0);
}

TEST(AdamW, GoesOnOnAnotherDeviceFromItsState) {
  std::vector<Parameter> here = some_parameters();
  AdamW on_cpu(here, {});
  set_gradients(here, 1);
  on_cpu.step(0.01);
  std::vector<Parameter> there = here;
  move_parameters(there, other_device());
  AdamW on_device(there, {});
  on_device.load(TensorFile{on_cpu.state(), {}});
  set_gradients(here, 2), set_gradients(there, 2);
  on_cpu.step(0.01), on_device.step(0.01);
  for (std::size_t k = 0; k < here.size(); ++k)
    EXPECT_TRUE(at::allclose(there[k].value.cpu(), here[k].value, 0, 1e-6)) << here[k].name;
  EXPECT_EQ(on_device.steps(), 2);
}

// Oracle here: the optimizer of one process.
void expect_sharded_steps(at::Device device) {
  expect_in_processes(3, [&] {
    const bool leads = processes().leads();
    std::vector<Parameter> one = some_parameters(), shared = some_parameters();
    flatten_gradients(shared);
    move_parameters(one, device), move_parameters(shared, device);
    flatten_values(shared, at::zeros({flat_size(shared)}, one.front().value.options()));
    const std::vector<ParameterRule> rules{{1, true}, {1, true}, {0.5, false}, {0.5, true}};
    AdamW alone(one, {}, rules);
    auto sharded = std::make_unique<AdamW>(shared, AdamWOptions{.sharded = true}, rules);
    const at::Tensor first = shared.front().value;
    const at::Tensor values = first.as_strided({flat_size(shared)}, {1}, first.storage_offset());
    for (std::uint64_t t = 0; t < 4; ++t) {
      set_gradients(one, t), set_gradients(shared, t);
      alone.step(0.01, t == 2 ? 0.25 : 1), sharded->step(0.01, t == 2 ? 0.25 : 1);
      for (int rank = 0; rank < 3; ++rank) {
        const Shard shard = shard_of(values.numel(), rank, 3);
        const at::Tensor piece = values.narrow(0, shard.begin, shard.size()), here = piece.cpu();
        processes().begin_copy(rank, here)();
        piece.copy_(here);
      }
      for (std::size_t k = 0; k < one.size(); ++k)
        EXPECT_TRUE(at::equal(shared[k].value.cpu(), one[k].value.cpu())) << one[k].name << t;
      const TensorFile whole{alone.state(), {}}, gathered{sharded->state(), {}};
      EXPECT_EQ(gathered.tensors.size(), leads ? whole.tensors.size() : 1);
      for (const auto& [name, tensor] : gathered.tensors)
        EXPECT_TRUE(at::equal(tensor.cpu(), whole.find(name)->cpu())) << name;
      if (t != 1) continue;
      sharded = std::make_unique<AdamW>(shared, AdamWOptions{.sharded = true}, rules);
      sharded->load(whole);  // what one process left, several go on from
    }
  });
}

TEST(AdamWShards, StepAsTheWhole) {
  expect_sharded_steps(at::kCPU);
}
TEST(AdamWShards, StepAsTheWholeOffTheCpu) {
  expect_sharded_steps(pretend_device());
}

TEST(AdamW, RefusesTheStateOfAnotherModel) {
  std::vector<Parameter> parameters = some_parameters();
  AdamW optimizer(parameters, {});
  TensorFile file{optimizer.state(), {}};
  std::vector<Parameter> wider{{"blocks.0.mlp.fc1.weight", at::zeros({7, 6}), at::zeros({7, 6})}};
  EXPECT_THROW(AdamW(wider, {}).load(file), Error);
  file.tensors.pop_back();
  EXPECT_THROW(optimizer.load(file), Error);
}

}  // namespace
}  // namespace sgmae
