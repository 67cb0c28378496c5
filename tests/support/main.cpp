// The main() of every test program. Each suite runs in a process of its own, with a folder of its
// own for temporary files and caches. So tests share neither files, environment, signal handlers
// nor threads with those of other suites or of another process, and one that crashes ends its suite
// alone. Processes are forked from this one, which has LibTorch loaded: loading it takes 0.2 s.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "sgmae/base/error.h"
#include "sgmae/base/instruction_set.h"
#include "tests/support/leave.h"

#ifdef __SANITIZE_ADDRESS__
// LibTorch gives up its pool of threads in a forked process on purpose: they did not come along.
extern "C" const char* __lsan_default_suppressions() {
  return "leak:caffe2::pthreadpool";
}
#endif

namespace {

namespace fs = std::filesystem;

constexpr int kSkipped = 77;  // SKIP_RETURN_CODE in CMakeLists.txt

// Runs the tests that `filter` names; true if all pass.
bool run_apart(const std::string& filter) {
  std::string folder = fs::temp_directory_path() / "sgmae-test-XXXXXX";
  if (!mkdtemp(folder.data())) {
    std::perror(folder.c_str());
    return false;
  }
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    for (const char* name : {"TMPDIR", "TEST_TMPDIR"}) setenv(name, folder.c_str(), 1);
    setenv("XDG_CACHE_HOME", (folder + "/cache").c_str(), 1);
    GTEST_FLAG_SET(filter, filter);
    sgmae::leave(RUN_ALL_TESTS());
  }
  int status = -1;
  if (child > 0) waitpid(child, &status, 0);
  std::error_code ignored;
  fs::remove_all(folder, ignored);
  if (child < 0 || !WIFEXITED(status))
    std::fprintf(stderr, "%s: ended by signal %d\n", filter.c_str(),
                 child > 0 && WIFSIGNALED(status) ? WTERMSIG(status) : 0);
  return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// False, and says why, for an SGMAE_ISA that this processor does not have.
bool has_instructions_asked_for() {
  const char* asked = std::getenv("SGMAE_ISA");
  try {
    if (asked && *asked) {
      const sgmae::InstructionSet processor = sgmae::processor_instruction_set();
      sgmae::choose_instruction_set(processor, processor, asked);
    }
    return true;
  } catch (const sgmae::Error& error) {
    std::printf("skipped: %s\n", error.what());
    return false;
  }
}

}  // namespace

int main(int argc, char** argv) {
  const bool whole = argc == 1;  // else all that the options of GoogleTest name runs together
  testing::InitGoogleTest(&argc, argv);
  if (GTEST_FLAG_GET(list_tests)) return RUN_ALL_TESTS();
  if (!has_instructions_asked_for()) sgmae::leave(kSkipped);
  if (!whole || GTEST_FLAG_GET(filter) != "*")
    sgmae::leave(run_apart(GTEST_FLAG_GET(filter)) ? 0 : 1);
  bool passed = true;
  const testing::UnitTest& all = *testing::UnitTest::GetInstance();
  for (int i = 0; i < all.total_test_suite_count(); ++i)
    passed &= run_apart(std::string(all.GetTestSuite(i)->name()) + ".*");
  sgmae::leave(passed ? 0 : 1);
}
