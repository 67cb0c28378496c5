// Oracle: exit codes of child processes, and the handlers of before.
#include "sgmae/base/signals.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace sgmae {
namespace {

TEST(StopSignals, FirstSignalAsksToStop) {
  const StopSignals signals;
  EXPECT_FALSE(stop_requested());
  std::raise(SIGTERM);
  EXPECT_TRUE(stop_requested());
}

TEST(StopSignals, EachRunBeginsUnasked) {
  {
    const StopSignals signals;
    std::raise(SIGINT);
  }
  const StopSignals signals;
  EXPECT_FALSE(stop_requested());
}

TEST(StopSignals, WhateverAnnouncesTheEndAsksToStop) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGXCPU}) {
    const StopSignals signals;
    std::raise(signal);
    EXPECT_TRUE(stop_requested()) << signal;
  }
}

TEST(StopSignals, NohupHolds) {
  std::signal(SIGHUP, SIG_IGN);
  {
    const StopSignals signals;
    std::raise(SIGHUP);
    EXPECT_FALSE(stop_requested());
  }
  std::signal(SIGHUP, SIG_DFL);
}

TEST(StopSignalsDeathTest, SecondInterruptEndsAtOnce) {
  EXPECT_EXIT(
      {
        const StopSignals signals;
        std::raise(SIGINT);
        std::raise(SIGINT);
        _exit(0);
      },
      ::testing::ExitedWithCode(130), "");
}

TEST(StopSignalsDeathTest, ATerminationAfterAnInterruptStillWaitsForTheCheckpoint) {
  EXPECT_EXIT(
      {
        const StopSignals signals;
        std::raise(SIGINT);
        std::raise(SIGTERM);
        _exit(stop_requested() ? 7 : 0);
      },
      ::testing::ExitedWithCode(7), "");
}

TEST(StopSignalsDeathTest, OldHandlersComeBack) {
  EXPECT_EXIT(
      {
        { const StopSignals signals; }
        std::raise(SIGINT);
        _exit(0);
      },
      ::testing::KilledBySignal(SIGINT), "");
}

}  // namespace
}  // namespace sgmae
