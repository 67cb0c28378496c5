// Oracle: addresses and values written down; who is told what.
#include "sgmae/nn/parameter.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "tests/support/other_device.h"

namespace sgmae {
namespace {

// Of 6, 17 (more than a cache line), none, 16 (just one) and 1 values.
std::vector<Parameter> list() {
  return {{"a", at::zeros({2, 3}), at::full({2, 3}, 1)},
          {"b", at::zeros({17}), at::full({17}, 2)},
          {"fixed", at::zeros({5}), {}},
          {"c", at::zeros({16}), at::empty({16}, at::TensorOptions(at::kFloat).device(at::kMeta))},
          {"d", at::zeros({}), at::full({}, 4)}};
}

TEST(FlattenGradients, AreViewsOfOnePieceThatBeginWithCacheLines) {
  std::vector<Parameter> parameters = list();
  flatten_gradients(parameters);
  const at::Tensor flat = flat_gradients(parameters);
  EXPECT_EQ(flat.numel(), 16 + 32 + 16 + 1);
  EXPECT_EQ(flat.sum().item<double>(), 6 * 1 + 17 * 2 + 0 + 4) << "zeros in the gaps";
  for (const Parameter& parameter : parameters) {
    if (!parameter.trained()) continue;
    EXPECT_EQ(parameter.grad.sizes(), parameter.value.sizes());
    EXPECT_TRUE(parameter.grad.is_contiguous() && parameter.grad.is_alias_of(flat));
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(parameter.grad.data_ptr()) % 64, 0u);
  }
  EXPECT_FALSE(parameters[2].trained());
  flat.fill_(7);
  EXPECT_EQ(parameters[1].grad[16].item<float>(), 7) << "the memory is shared";
}

// How many of the pages under a tensor the system has given out.
std::int64_t pages_held(const at::Tensor& tensor) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> held((tensor.nbytes() + page - 1) / page);
  EXPECT_EQ(mincore(tensor.data_ptr(), tensor.nbytes(), held.data()), 0);
  return std::count_if(held.begin(), held.end(), [](unsigned char bits) { return bits & 1; });
}

TEST(FlattenGradients, TakeUpNoMemoryBeforeTheyAreWritten) {
  constexpr std::int64_t count = 1 << 20;
  const auto shape_only = at::TensorOptions(at::kFloat).device(at::kMeta);
  std::vector<Parameter> parameters{{"a", at::zeros({count}), at::empty({count}, shape_only)},
                                    {"b", at::zeros({count}), at::empty({count}, shape_only)}};
  flatten_gradients(parameters);
  const at::Tensor flat = flat_gradients(parameters);
  EXPECT_EQ(pages_held(flat), 0);
  parameters[1].grad.add_(1);
  EXPECT_GT(pages_held(flat), 0);
  EXPECT_EQ(flat.sum().item<double>(), count);
}

TEST(FlatGradients, OfSomeThatFollowOneAnother) {
  std::vector<Parameter> parameters = list();
  flatten_gradients(parameters);
  const at::Tensor flat = flat_gradients({&parameters[1], 3});  // b, fixed, c
  EXPECT_EQ(flat.numel(), 32 + 16);
  EXPECT_EQ(flat.data_ptr(), parameters[1].grad.data_ptr());
  const at::Tensor one = flat_gradients({&parameters[1], 1});
  EXPECT_EQ(one.numel(), 17) << "without the gap behind it";
}

TEST(MoveParameters, KeepsValuesAndLeavesGradientsFlat) {
  std::vector<Parameter> parameters = list();
  flatten_gradients(parameters);
  const at::Tensor before = flat_gradients(parameters).clone();
  move_parameters(parameters, other_device());
  for (const Parameter& parameter : parameters) EXPECT_EQ(parameter.value.device(), other_device());
  const at::Tensor flat = flat_gradients(parameters);
  EXPECT_EQ(flat.device(), other_device());
  EXPECT_TRUE(flat.cpu().equal(before));
}

TEST(Announce, NamesTheTrainedOnesThatThereAre) {
  std::vector<Parameter> parameters = list();
  std::string heard;
  const GradientsReady ready = [&](std::span<Parameter> some) {
    for (const Parameter& parameter : some) heard += parameter.name;
  };
  announce(ready, {&parameters[4], nullptr, &parameters[2], &parameters[0]});
  EXPECT_EQ(heard, "da");
  announce({}, {&parameters[0]});  // nobody listens
}

}  // namespace
}  // namespace sgmae
