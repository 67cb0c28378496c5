// Oracle: which buckets may have been sent, by the order in which gradients become final.
#include "sgmae/train/gradient_exchange.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

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
    GradientExchange exchange(all, /*bucket_size=*/2 * 16 * 4);
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
    GradientExchange exchange(all, /*bucket_size=*/16 * 4);
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

}  // namespace
}  // namespace sgmae
