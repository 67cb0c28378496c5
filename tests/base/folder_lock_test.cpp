// Oracle: other processes, forked here.
#include "sgmae/base/folder_lock.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"

namespace sgmae {
namespace {

// A process that holds the lock until it is killed.
pid_t hold(const std::filesystem::path& folder) {
  int ready[2];
  if (::pipe(ready) != 0) return -1;
  const pid_t child = ::fork();
  if (child == 0) {
    const FolderLock lock(folder, "process 7 on node3");
    if (::write(ready[1], "x", 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  char byte;
  EXPECT_EQ(::read(ready[0], &byte, 1), 1);
  ::close(ready[0]);
  ::close(ready[1]);
  return child;
}

TEST(FolderLock, AnotherProcessIsRefusedAndToldWhoHoldsItUntilThatOneIsGone) {
  const TemporaryFolder folder;
  const pid_t holder = hold(folder.root());
  const auto take = [&] { const FolderLock lock(folder.root(), "me"); };
  const std::string message = error_of(ExitCode::usage, take);
  EXPECT_NE(message.find("in use by process 7 on node3;"), std::string::npos) << message;
  ::kill(holder, SIGKILL);
  ::waitpid(holder, nullptr, 0);
  EXPECT_NO_THROW(take());
}

TEST(FolderLock, ASecondOfTheSameProcessIsRefusedToo) {
  const TemporaryFolder folder;
  {
    const FolderLock lock(folder.root(), "a long description of the first holder");
    error_of(ExitCode::usage, [&] { const FolderLock other(folder.root(), "me"); });
  }
  const FolderLock lock(folder.root(), "second");
  const std::string message =
      error_of(ExitCode::usage, [&] { const FolderLock other(folder.root(), "me"); });
  EXPECT_NE(message.find("in use by second;"), std::string::npos) << message;
}

TEST(FolderLock, AFolderThatCannotBeWrittenIsAnError) {
  error_of(ExitCode::usage, [] { const FolderLock lock("/proc", "me"); });
}

}  // namespace
}  // namespace sgmae
