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

// What is written while `signal` comes.
std::string answer_to(int signal) {
  const StopSignals signals;
  testing::internal::CaptureStderr();
  std::raise(signal);
  return testing::internal::GetCapturedStderr();
}

TEST(StopSignals, AreAnsweredAtOnceWithWhatComesNext) {
  EXPECT_EQ(answer_to(SIGINT), "stopping; again to stop now\n") << "nothing trains";
  set_steps_at_stake(0);
  EXPECT_EQ(answer_to(SIGINT), "finishing this step, then saving; again to stop now\n");
  set_steps_at_stake(1);
  EXPECT_EQ(answer_to(SIGINT),
            "finishing this step, then saving; again to stop now, losing 1 step\n");
  set_steps_at_stake(12050);
  EXPECT_EQ(answer_to(SIGINT),
            "finishing this step, then saving; again to stop now, losing 12050 steps\n");
  EXPECT_EQ(answer_to(SIGTERM), "finishing this step, then saving\n")
      << "a second one would not stop it";
  answer_stop_signals(false);
  EXPECT_EQ(answer_to(SIGINT), "") << "another process says it";
  answer_stop_signals(true);
  set_steps_at_stake(-1);
}

TEST(StopSignals, AreAnsweredOnce) {
  const StopSignals signals;
  testing::internal::CaptureStderr();
  std::raise(SIGTERM);
  std::raise(SIGUSR1);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "stopping\n");
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
