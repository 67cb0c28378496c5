// Oracle: what must be said, by a clock that the test sets. Terminals: tests/cli/terminal_test.cpp.
#include "sgmae/base/progress.h"

#include <gtest/gtest.h>

namespace sgmae {
namespace {

double now = 0;

class ProgressOfLog : public testing::Test {
 protected:
  ProgressOfLog() { now = 100; }

  // What is said when so many are done so many seconds after the beginning.
  std::string said(Progress& progress, std::int64_t done, double seconds) const {
    now = 100 + seconds;
    testing::internal::CaptureStderr();
    progress.show(done);
    return testing::internal::GetCapturedStderr();
  }
};

TEST_F(ProgressOfLog, IsALineEveryHalfMinute) {
  Progress progress("features", 5784, [] { return now; });
  EXPECT_EQ(said(progress, 100, 4), "");
  EXPECT_EQ(said(progress, 700, 29), "");
  EXPECT_EQ(said(progress, 1200, 30), "features: 1200/5784, 2 min left\n");
  EXPECT_EQ(said(progress, 1300, 59), "");
  EXPECT_EQ(said(progress, 5684, 70), "features: 5684/5784, 2 s left\n");
  EXPECT_EQ(said(progress, 5800, 101), "features: 5784/5784\n")
      << "a last batch may be counted full";
}

TEST(ProgressText, SaysHowLongTheRestTakesAtTheSpeedSoFar) {
  EXPECT_EQ(progress_text("maps", 1, 3, 6), "maps: 1/3, 12 s left");
  EXPECT_EQ(progress_text("maps", 1, 11, 60), "maps: 1/11, 10 min left");
  EXPECT_EQ(progress_text("maps", 10, 1010, 90), "maps: 10/1010, 2 h 30 min left");
  EXPECT_EQ(progress_text("maps", 0, 3, 6), "maps: 0/3");
  EXPECT_EQ(progress_text("maps", 3, 3, 6), "maps: 3/3");
}

}  // namespace
}  // namespace sgmae
