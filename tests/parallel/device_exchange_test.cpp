// Oracle: sums written down by hand; what processes say of one that cannot come, fails or is
// killed.
#include "sgmae/parallel/device_exchange.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <stdexcept>
#include <thread>

#include "tests/support/other_device.h"
#include "tests/support/pretend_exchange.h"
#include "tests/support/processes.h"

namespace sgmae {
namespace {

using std::chrono::milliseconds;

// All that one GPU can show: that NCCL opens, that its collectives go and keep the order of the
// device's work.
TEST(DeviceExchange, OfOneKeepsWhatItSums) {
  const at::Device device = other_device();
  std::string why;
  const DeviceExchangeApi* const api =
      device.is_cuda() ? open_device_exchange(device, why) : &pretend_exchange;
  ASSERT_NE(api, nullptr) << why;
  const auto exchange = api->join(api->new_meeting(), 0, 1, device);
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const at::Tensor x = at::full({1 << 20}, 1.5, at::TensorOptions(type).device(device));
    for (int i = 0; i < 10; ++i) x.add_(1);
    for (const auto& done : {exchange->sum(x), exchange->sum_in(0, x), exchange->copy(0, x)})
      while (!done()) {
      }
    EXPECT_TRUE(at::equal(x.cpu(), at::full({1 << 20}, 11.5, type)));
  }
}

at::Tensor there(int count, double value) {
  return at::full({count}, value, at::TensorOptions(at::kFloat).device(pretend_device()));
}

TEST(PretendDeviceExchange, SumsAndCopiesWhereTensorsLie) {
  expect_in_processes(3, [] {
    const at::Device device = pretend_device();
    EXPECT_EQ(processes().meeting_place(device), at::kCPU) << "unless they meet there";
    processes().meet_on(device, &pretend_exchange, "");
    processes().meet_on(device, nullptr, "not asked again");
    EXPECT_EQ(processes().meeting_place(device), device);
    EXPECT_EQ(processes().meeting_place(at::kCPU), at::kCPU);
    const int rank = processes().rank();
    const at::Tensor all = there(5, rank + 1), in_two = there(7, rank + 1), copied = there(3, rank);
    const auto first = processes().begin_sum(all), second = processes().begin_sum_in(2, in_two),
               third = processes().begin_copy(1, copied);
    third(), second(), first();
    EXPECT_TRUE(at::equal(all.cpu(), at::full({5}, 6, at::kFloat)));
    if (rank == 2) {
      EXPECT_TRUE(at::equal(in_two.cpu(), at::full({7}, 6, at::kFloat)));
    }
    EXPECT_TRUE(at::equal(copied.cpu(), at::full({3}, 1, at::kFloat)));
    EXPECT_EQ(PretendExchange::begun, 3);
    EXPECT_EQ(processes().sum(1), 3) << "as ever";
    EXPECT_EQ(PretendExchange::begun, 3);
  });
}

TEST(PretendDeviceExchange, NoneMeetsWhereOneCannot) {
  expect_in_processes(2, [] {
    const at::Device device = pretend_device();
    const bool can = processes().rank() == 0;
    processes().meet_on(device, can ? &pretend_exchange : nullptr, can ? "" : "no library");
    EXPECT_EQ(processes().meeting_place(device), at::kCPU);
    EXPECT_EQ(processes().sum(1), 2);
  });
}

// What NCCL says of two processes on one GPU.
constexpr DeviceExchangeApi refuses_second{
    pretend_exchange.new_meeting,
    [](const std::string&, int rank, int, at::Device) -> std::unique_ptr<DeviceExchange> {
      if (rank == 1) throw std::runtime_error("this GPU is taken");
      while (true) std::this_thread::sleep_for(milliseconds(10));
    }};

TEST(PretendDeviceExchange, OneThatCannotComeEndsAllWithItsReason) {
  const std::vector<Ended> all =
      in_processes(2, [] { processes().meet_on(pretend_device(), &refuses_second, ""); });
  EXPECT_EQ(all[1].code, static_cast<int>(ExitCode::usage)) << all[1].message;
  EXPECT_NE(all[1].message.find("this GPU is taken; --dist_backend gloo"), std::string::npos)
      << all[1].message;
  EXPECT_EQ(all[0].code, static_cast<int>(ExitCode::process_lost)) << all[0].message;
  EXPECT_NE(all[0].message.find("this GPU is taken"), std::string::npos) << all[0].message;
}

// As a kernel that waits for one that will not come, and tells nobody.
class NeverDone : public PretendExchange {
 public:
  Done sum(const at::Tensor&) override {
    return [] { return false; };
  }
};

constexpr DeviceExchangeApi never_done{
    pretend_exchange.new_meeting,
    [](const std::string&, int, int, at::Device) -> std::unique_ptr<DeviceExchange> {
      return std::make_unique<NeverDone>();
    }};

TEST(PretendDeviceExchange, OneThatIsKilledMeanwhileIsNamed) {
  const std::vector<Ended> all = in_processes(
      3,
      [] {
        processes().meet_on(pretend_device(), &never_done, "");
        try {
          processes().begin_sum(there(4, 1))();
        } catch (const Error&) {
          EXPECT_EQ(PretendExchange::aborted, 1) << "or it would wait for ever when it ends";
          throw;
        }
      },
      [](const auto& pids) {
        std::this_thread::sleep_for(milliseconds(500));
        kill(pids[1], SIGKILL);
      });
  for (const int rank : {0, 2}) {
    EXPECT_EQ(all[rank].code, static_cast<int>(ExitCode::process_lost));
    EXPECT_NE(all[rank].message.find("gave up: process 1 ("), std::string::npos)
        << all[rank].message;
    EXPECT_LT(all[rank].seconds, 15);
  }
}

// Nobody asks after the others' hearts, which takes longer than that, while all are connected.
class DoneAfterAWhile : public PretendExchange {
 public:
  Done sum(const at::Tensor&) override {
    return [begun = std::chrono::steady_clock::now()] {
      return std::chrono::steady_clock::now() - begun > milliseconds(600);
    };
  }
};

constexpr DeviceExchangeApi done_after_a_while{
    pretend_exchange.new_meeting,
    [](const std::string&, int, int, at::Device) -> std::unique_ptr<DeviceExchange> {
      return std::make_unique<DoneAfterAWhile>();
    }};

TEST(PretendDeviceExchange, OneThatIsSlowIsWaitedFor) {
  expect_in_processes(2, [] {
    processes().meet_on(pretend_device(), &done_after_a_while, "");
    const at::Tensor x = there(4, 1);
    const auto begun = std::chrono::steady_clock::now();
    processes().begin_sum(x)();
    EXPECT_LT(std::chrono::steady_clock::now() - begun, milliseconds(1700));
  });
}

TEST(PretendDeviceExchange, WhatDoesNotEndIsGivenUp) {
  const std::vector<Ended> all = in_processes(
      2,
      [] {
        processes().meet_on(pretend_device(), &never_done, "");
        processes().begin_sum(there(4, 1))();
      },
      {}, milliseconds(1000));
  for (const Ended& one : all) EXPECT_EQ(one.code, static_cast<int>(ExitCode::process_lost));
}

}  // namespace
}  // namespace sgmae
