// Oracle: which buckets may have been sent, by the order in which gradients become final.
#include "sgmae/train/gradient_exchange.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "tests/support/other_device.h"
#include "tests/support/pretend_exchange.h"
#include "tests/support/processes.h"

namespace sgmae {
namespace {

// Four of 16 numbers each, one fixed among them.
std::vector<Parameter> parameters() {
  std::vector<Parameter> all;
  for (const char* name : {"a", "b", "c", "d"})
    all.push_back({name, at::zeros({16}), at::zeros({16})});
  all.insert(all.begin() + 2, {"fixed", at::zeros({3}), at::Tensor()});
  flatten_gradients(all);
  return all;
}

void fill(std::vector<Parameter>& all, double value) {
  for (Parameter& one : all)
    if (one.trained()) one.grad.fill_(value);
}

void expect_all(const std::vector<Parameter>& all, double value) {
  for (const Parameter& one : all)
    if (one.trained()) {
      EXPECT_TRUE(at::equal(one.grad, at::full({16}, value, at::kFloat))) << one.name;
    }
}

TEST(GradientExchange, SumsWhateverWasSaid) {
  expect_in_processes(2, [] {
    std::vector<Parameter> all = parameters();
    GradientExchange exchange(all, {.bucket_bytes = 2 * 16 * 4});
    EXPECT_EQ(exchange.buckets(), 2);
    const GradientsReady ready = exchange.ready();
    fill(all, 1);
    ready({all.data(), all.size()});  // of an earlier backward pass of the step: not yet final
    fill(all, 1 + processes().rank());
    exchange.begin();
    if (processes().rank() == 0)  // one is told of some, in an order of its own; the other of none
      for (const std::size_t i : {4u, 0u, 3u}) ready({&all[i], 1});
    exchange.finish();
    expect_all(all, 3);
    exchange.finish();  // without a backward pass
    expect_all(all, 6);
  });
}

TEST(GradientExchange, SendsABucketOnceItIsFinal) {
  expect_in_processes(2, [] {
    std::vector<Parameter> all = parameters();
    GradientExchange exchange(all, {.bucket_bytes = 16 * 4});
    EXPECT_EQ(exchange.buckets(), 4);
    const GradientsReady ready = exchange.ready();
    fill(all, 1);
    exchange.begin();
    EXPECT_EQ(exchange.sent(), 0);
    ready({&all[3], 1});
    EXPECT_EQ(exchange.sent(), 0) << "the last goes first";
    ready({&all[4], 1});
    EXPECT_EQ(exchange.sent(), 2);
    ready({&all[0], 3});
    EXPECT_EQ(exchange.sent(), 4);
    exchange.finish();
    expect_all(all, 2);
  });
}

// Three roundings at most of a sum of three, each to 8 bits of mantissa.
TEST(GradientExchange, RoundsWhatIsSentToBf16) {
  for (const bool sharded : {false, true})
    expect_in_processes(3, [&] {
      std::vector<Parameter> all = parameters();
      GradientExchange exchange(
          all, {.sharded = sharded, .common_memory = false, .precision = Precision::bf16});
      at::Tensor expected = at::zeros({16});
      for (int rank = 0; rank < 3; ++rank) {
        const at::Tensor gradient = at::arange(16).add(1.0 + rank).div(7);
        expected.add_(gradient);
        if (rank == processes().rank())
          for (Parameter& one : all)
            if (one.trained()) one.grad.copy_(gradient);
      }
      exchange.finish();
      const at::Tensor own = exchange.own_gradients(), error = own.view({-1, 16}).sub(expected);
      const double largest = error.abs().div(expected).max().item<double>();
      EXPECT_LT(largest, 3.0 / 256);
      EXPECT_GT(largest, 1e-4) << "nothing was rounded";
    });
}

// Six cache lines among three processes: "a" and half of "b" are process 0's, and so on.
std::vector<Parameter> for_three(at::Device device) {
  std::vector<Parameter> all;
  for (const char* name : {"a", "b", "c", "d"})
    all.push_back({name, at::full({24}, all.size(), at::kFloat), at::zeros({24})});
  move_parameters(all, device);
  return all;
}

void expect_sharded(at::Device device, bool common) {
  expect_in_processes(3, [&] {
    const int rank = processes().rank();
    std::vector<Parameter> all = for_three(device);
    GradientExchange exchange(all, {.sharded = true, .common_memory = common, .bucket_bytes = 64});
    for (const Parameter& one : all)
      EXPECT_TRUE(at::equal(one.value.cpu(), at::full({24}, &one - all.data(), at::kFloat)));
    const std::int64_t values = 8 * 16 - 8;  // without the gap at the end
    const Shard own = shard_of(values, rank, 3);
    for (int step = 1; step <= 2; ++step) {
      fill(all, step * (1 + rank));
      exchange.begin();
      if (rank > 0) exchange.ready()({&all[2], 2});
      exchange.finish();
      const at::Tensor gradients = exchange.own_gradients().cpu();
      EXPECT_EQ(gradients.numel(), own.size());
      at::Tensor expected = at::zeros({8, 16});
      for (const int line : {0, 2, 4, 6}) {
        expected[line].fill_(6 * step);
        expected[line + 1].narrow(0, 0, 8).fill_(6 * step);
      }
      EXPECT_TRUE(at::equal(gradients, expected.view({-1}).narrow(0, own.begin, own.size())));
      processes().wait_for_all();
      const at::Tensor flat = flat_gradients(all).cpu();
      EXPECT_EQ(flat.sum().item<float>(), gradients.sum().item<float>()) << "others' are used up";

      exchange.own_gradients().zero_();  // as an optimizer would
      const Parameter& first = all.front();
      at::Tensor flat_values = first.value.as_strided({values}, {1}, first.value.storage_offset());
      flat_values.narrow(0, own.begin, own.size()).fill_(100 * step + rank);
      exchange.spread_values();
      flat_values = flat_values.cpu();
      for (int other = 0; other < 3; ++other) {
        const Shard shard = shard_of(values, other, 3);
        EXPECT_TRUE(at::equal(flat_values.narrow(0, shard.begin, shard.size()),
                              at::full({shard.size()}, 100 * step + other, at::kFloat)));
      }
      processes().wait_for_all();
    }
  });
}

TEST(GradientExchange, ShardsInCommonMemory) {
  expect_sharded(at::kCPU, true);
}
TEST(GradientExchange, ShardsThatAreSent) {
  expect_sharded(at::kCPU, false);
}
TEST(GradientExchange, ShardsOnAnotherDevice) {
  expect_sharded(pretend_device(), true);
}

// By gradients and values that devices exchange with each other, whole and in shards.
TEST(GradientExchange, SumsOnTheDeviceItself) {
  for (const Precision precision : {Precision::fp32, Precision::bf16})
    for (const bool sharded : {false, true})
      expect_in_processes(3, [&] {
        processes().meet_on(pretend_device(), &pretend_exchange, "");
        std::vector<Parameter> all = for_three(pretend_device());
        GradientExchange exchange(all,
                                  {.sharded = sharded, .precision = precision, .bucket_bytes = 64});
        for (int step = 1; step <= 2; ++step) {
          fill(all, 1 + processes().rank());
          exchange.begin();
          exchange.ready()({&all[2], 2});
          exchange.finish();
          const at::Tensor sums = exchange.own_gradients().cpu();
          EXPECT_EQ(sums.max().item<float>(), 6);
          exchange.own_gradients().zero_();
          exchange.spread_values();
        }
        for (const Parameter& one : all)
          EXPECT_TRUE(at::equal(one.value.cpu(), at::full({24}, &one - all.data(), at::kFloat)));
        const auto per_step = exchange.buckets() * (sharded ? 2 : 1);
        EXPECT_EQ(PretendExchange::begun, 2 * per_step);
      });
}

}  // namespace
}  // namespace sgmae
