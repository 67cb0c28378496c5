// The program, run as a user runs it.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wordexp.h>

#include <cstdio>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "cli/program.h"
#include "sgmae/base/file.h"
#include "tests/support/leave.h"

namespace sgmae {

struct Outcome {
  int code;
  std::string out, err;
};

// Runs `sgmae` in `folder` with arguments as a shell understands them, in a process forked from
// this one: starting the built program would take 0.2 s each time, most of it to load LibTorch.
// Until then this process must not have computed with more than one thread.
inline Outcome run_program_in(const std::filesystem::path& folder, const std::string& arguments) {
  const auto output = std::filesystem::temp_directory_path();
  std::cout.flush();
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    std::filesystem::current_path(folder);
    for (const auto& [stream, name] : {std::pair{1, "stdout"}, std::pair{2, "stderr"}})
      dup2(open((output / name).c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), stream);
    wordexp_t words{};
    int code = wordexp(arguments.c_str(), &words, 0) == 0 ? 0 : 127;
    if (code == 0) code = run_program({words.we_wordv, words.we_wordv + words.we_wordc});
    leave(code);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
          read_text(output / "stdout"), read_text(output / "stderr")};
}

}  // namespace sgmae
