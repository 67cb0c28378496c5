// Oracle: sums and lists written down by hand; what a process that is killed, stopped or gone
// leaves to the others to say.
#include "sgmae/parallel/process_group.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/rand.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <thread>

#include "sgmae/base/signals.h"
#include "sgmae/parallel/shard.h"
#include "tests/support/processes.h"

namespace sgmae {
namespace {

using std::chrono::milliseconds;

TEST(ProcessGroup, OfOneDoesNothing) {
  ProcessGroup& alone = processes();
  EXPECT_EQ(alone.size(), 1);
  EXPECT_TRUE(alone.leads());
  const at::Tensor x = at::arange(3, at::kFloat);
  alone.sum(x);
  EXPECT_TRUE(at::equal(x, at::arange(3, at::kFloat)));
  EXPECT_EQ(alone.gather("a"), std::vector<std::string>{"a"});
  EXPECT_EQ(alone.of_leader("b"), "b");
  EXPECT_THROW(alone.together([] { throw StopRequested(); }), StopRequested);
}

TEST(ProcessGroup, SumsAndGathers) {
  expect_in_processes(3, [] {
    ProcessGroup& all = processes();
    const int rank = all.rank();
    const at::Tensor x = at::full({5}, rank + 1, at::kDouble);
    all.sum(x);
    EXPECT_TRUE(at::equal(x, at::full({5}, 6, at::kDouble)));
    EXPECT_EQ(all.sum(0.5), 1.5);

    const std::vector<at::Tensor> parts = all.gather(at::full({rank, 2}, rank, at::kFloat));
    ASSERT_EQ(parts.size(), 3u);
    for (int other = 0; other < 3; ++other)
      EXPECT_TRUE(at::equal(parts[other], at::full({other, 2}, other, at::kFloat)));
    EXPECT_EQ(all.gather(std::string(rank, 'x')), (std::vector<std::string>{"", "x", "xx"}));
    EXPECT_EQ(all.gather(""), (std::vector<std::string>{"", "", ""}));
    EXPECT_EQ(all.of_leader(str("from ", rank)), "from 0");
  });
}

TEST(ProcessGroup, SumsInOneAndCopiesFromOne) {
  expect_in_processes(3, [] {
    const int rank = processes().rank();
    const at::Tensor to_two = at::full({1000}, rank + 1), to_none = at::full({7}, rank + 1);
    const auto first = processes().begin_sum_in(2, to_two),
               second = processes().begin_sum_in(0, to_none);
    second();
    first();
    if (rank == 2) {
      EXPECT_TRUE(at::equal(to_two, at::full({1000}, 6)));
    }
    if (rank == 0) {
      EXPECT_TRUE(at::equal(to_none, at::full({7}, 6)));
    }
    const at::Tensor copied = at::full({100}, rank);
    processes().begin_copy(1, copied)();
    EXPECT_TRUE(at::equal(copied, at::full({100}, 1)));
  });
}

TEST(ProcessGroup, GathersShards) {
  expect_in_processes(3, [] {
    for (const std::int64_t count : {std::int64_t{5}, std::int64_t{100}, std::int64_t{13} << 20}) {
      const at::Tensor all = at::arange(count, at::kFloat);
      const Shard own = shard_of(count, processes().rank(), 3);
      const at::Tensor whole =
          processes().gather_shards(all.narrow(0, own.begin, own.size()), count);
      EXPECT_EQ(whole.defined(), processes().leads());
      if (whole.defined()) {
        EXPECT_TRUE(at::equal(whole, all)) << count;
      }
    }
  });
}

TEST(ProcessGroup, SumsHaveTheSameBitsEverywhere) {
  expect_in_processes(4, [] {
    const at::Tensor x = at::rand({10007}).mul(processes().rank() + 1);
    const auto wait = processes().begin_sum(x);
    wait();
    const std::string mine(static_cast<const char*>(x.const_data_ptr()), x.nbytes());
    for (const std::string& other : processes().gather(mine)) EXPECT_EQ(other, mine);
  });
}

TEST(ProcessGroup, WhatEndsOneEndsAllTogether) {
  expect_in_processes(3, [] {
    const int rank = processes().rank();
    try {
      processes().together([&] {
        if (rank == 1) fail(ExitCode::data, "no such image");
      });
      ADD_FAILURE() << rank;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::data);
      const std::string text = error.what();
      EXPECT_NE(text.find("no such image"), std::string::npos);
      EXPECT_EQ(text.find("process 1") != std::string::npos, rank != 1) << text;
    }
    EXPECT_THROW(processes().together([&] {
      if (rank == 2) throw StopRequested();
    }),
                 StopRequested);
    EXPECT_EQ(processes().sum(1), 3) << "and all go on";
  });
}

TEST(ProcessGroup, SharesOutTheProcessors) {
  expect_in_processes(2, [] {
    EXPECT_EQ(processes().processors(), std::max(1u, std::thread::hardware_concurrency() / 2));
  });
}

void sum_for_ever() {
  while (true) {
    processes().sum(1);
    std::this_thread::sleep_for(milliseconds(1));
  }
}

TEST(LostProcess, KilledIsNamed) {
  for (const int victim : {1, 0}) {
    const std::vector<Ended> all = in_processes(3, sum_for_ever, [&](const auto& pids) {
      std::this_thread::sleep_for(milliseconds(100));
      kill(pids[victim], SIGKILL);
    });
    for (int rank = 0; rank < 3; ++rank) {
      if (rank == victim) {
        EXPECT_EQ(all[rank].code, 128 + SIGKILL);
        continue;
      }
      EXPECT_EQ(all[rank].code, static_cast<int>(ExitCode::process_lost));
      EXPECT_NE(all[rank].message.find(str("gave up: process ", victim, " (")), std::string::npos)
          << all[rank].message;
      EXPECT_LT(all[rank].seconds, 10);
    }
  }
}

TEST(LostProcess, OneThatLeavesHasItsReasonTold) {
  const std::vector<Ended> all = in_processes(3, [] {
    if (processes().rank() == 2) fail(ExitCode::disk_full, "no room");
    sum_for_ever();
  });
  EXPECT_EQ(all[2].code, static_cast<int>(ExitCode::disk_full));
  for (int rank = 0; rank < 2; ++rank) {
    EXPECT_EQ(all[rank].code, static_cast<int>(ExitCode::process_lost));
    EXPECT_NE(all[rank].message.find("process 2 ("), std::string::npos) << all[rank].message;
    EXPECT_NE(all[rank].message.find("ended: no room"), std::string::npos) << all[rank].message;
  }
}

TEST(LostProcess, OneThatDoesNotAnswerIsGivenUp) {
  pid_t stopped = 0;
  const std::vector<Ended> all = in_processes(
      3, sum_for_ever,
      [&](const auto& pids) {
        std::this_thread::sleep_for(milliseconds(100));
        kill(stopped = pids[1], SIGSTOP);
        std::thread([stopped] {
          std::this_thread::sleep_for(milliseconds(6500));
          kill(stopped, SIGKILL);
        }).detach();
      },
      milliseconds(1000));
  for (const int rank : {0, 2}) {
    EXPECT_EQ(all[rank].code, static_cast<int>(ExitCode::process_lost));
    EXPECT_NE(all[rank].message.find("gave up: process 1 ("), std::string::npos)
        << all[rank].message;
    EXPECT_LT(all[rank].seconds, 10);
  }
}

TEST(LostProcess, OneThatNeverComesIsNamed) {
  const std::string meeting = str("tcp://127.0.0.1:", free_port());
  try {
    ProcessGroup({.rank = 0, .size = 3, .local_rank = 0, .meeting = meeting}, milliseconds(1000));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::process_lost);
    EXPECT_NE(std::string(error.what()).find("process 1, process 2"), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace sgmae
