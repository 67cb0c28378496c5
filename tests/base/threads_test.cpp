// Oracle: counts of calls. A system that refuses threads is made by stacks that no memory holds.
#include "sgmae/base/threads.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>

namespace sgmae {
namespace {

TEST(Threads, AllRunTheWorkBeforeTheyAreJoined) {
  std::atomic<int> calls{0};
  Threads threads(5, [&] { ++calls; });
  EXPECT_EQ(threads.count(), 5);
  threads.join();
  EXPECT_EQ(calls, 5);
  EXPECT_EQ(threads.count(), 0);
}

TEST(Threads, AreJoinedAtTheEndOfTheirLife) {
  std::atomic<int> calls{0};
  {
    const Threads threads(3, [&] { ++calls; });
  }
  EXPECT_EQ(calls, 3);
}

TEST(Threads, NoneAreNone) {
  for (const int wanted : {0, -1}) {
    const Threads threads(wanted, [] { FAIL(); });
    EXPECT_EQ(threads.count(), 0);
  }
}

TEST(Threads, ARefusalIsAWarningAndLeavesThoseThatRun) {
  pthread_attr_t before, huge;
  pthread_getattr_default_np(&before);
  pthread_getattr_default_np(&huge);
  pthread_attr_setstacksize(&huge, std::size_t{1} << 46);
  ASSERT_EQ(pthread_setattr_default_np(&huge), 0);
  testing::internal::CaptureStderr();
  {
    const Threads threads(4, [] { FAIL(); });
    EXPECT_EQ(threads.count(), 0);
  }
  const std::string said = testing::internal::GetCapturedStderr();
  ASSERT_EQ(pthread_setattr_default_np(&before), 0);
  EXPECT_NE(said.find("only 0 of 4 threads could be started"), std::string::npos) << said;
}

TEST(UsefulThreads, AreCapped) {
  EXPECT_EQ(useful_threads(0), 0);
  EXPECT_EQ(useful_threads(64), 64);
  testing::internal::CaptureStderr();
  const int most = useful_threads(1 << 30);
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_GE(most, 64);
  EXPECT_LE(most, std::max(64, 4 * static_cast<int>(std::thread::hardware_concurrency())));
  EXPECT_NE(said.find("1073741824 threads are more than"), std::string::npos) << said;
}

}  // namespace
}  // namespace sgmae
