// Oracle: what is read back from stderr and from the file.
#include "sgmae/base/log.h"

#include <gtest/gtest.h>

#include "sgmae/base/file.h"
#include "tests/support/temporary_folder.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

TEST(Log, GoesToStderrAndToTheFile) {
  const TemporaryFolder folder;
  const std::string path = folder.path("log");
  testing::internal::CaptureStderr();
  {
    const LogFile file(path);
    info("epoch ", 3);
    set_log_quiet(true);
    info("quiet");
    warn("loss ", 0.5);
    set_log_quiet(false);
  }
  info("after");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "epoch 3\nwarning: loss 0.5\nafter\n");
  EXPECT_EQ(read_text(path), "epoch 3\nquiet\nwarning: loss 0.5\n");
}

TEST(Log, SaysSomeWarningsOnceInARun) {
  const TemporaryFolder folder;
  testing::internal::CaptureStderr();
  {
    const LogFile file(folder.path("log"));
    warn_once("a.jpg", "a.jpg is cut off");
    warn_once("a.jpg", "a.jpg is gone");  // the same case
    warn_once("other");
    warn_once("other");
  }
  EXPECT_EQ(read_text(folder.path("log")), "warning: a.jpg is cut off\nwarning: other\n");
  {
    const LogFile next(folder.path("next"));
    warn_once("a.jpg", "a.jpg is cut off");
  }
  EXPECT_EQ(read_text(folder.path("next")), "warning: a.jpg is cut off\n");
  testing::internal::GetCapturedStderr();
}

TEST(Log, AFullDiskEndsTheFileAndIsSaidOnce) {
  testing::internal::CaptureStderr();
  {
    const LogFile file("/dev/full");
    info("one");
    info("two");
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "one\nwarning: cannot write /dev/full: No space left on device; nothing more is "
            "written to it\ntwo\n");
}

}  // namespace
}  // namespace sgmae
