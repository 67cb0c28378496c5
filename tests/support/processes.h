// Several processes that train together, forked from a test.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/base/log.h"
#include "sgmae/parallel/process_group.h"
#include "tests/support/leave.h"
#include "tests/support/temporary_folder.h"

namespace sgmae {

inline int free_port() {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address);
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length);
  close(listener);
  return ntohs(address.sin_port);
}

// How one of them ended: its exit code (128 + signal where one ended it), and what its Error said.
struct Ended {
  int code;
  std::string message;
  double seconds;  // after the call of `meanwhile`
};

// Has `work` done in `size` processes that have joined each other. This process must not have
// computed with more than one thread until then. `meanwhile` gets their process ids once all have
// joined.
inline std::vector<Ended> in_processes(
    int size, const std::function<void()>& work,
    const std::function<void(const std::vector<pid_t>&)>& meanwhile = {},
    std::chrono::milliseconds timeout = std::chrono::seconds(30)) {
  const TemporaryFolder messages;
  const std::string meeting = str("tcp://127.0.0.1:", free_port());
  const auto joined =
      static_cast<std::atomic<int>*>(mmap(nullptr, sizeof(std::atomic<int>), PROT_READ | PROT_WRITE,
                                          MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  std::vector<pid_t> children;
  std::fflush(nullptr);
  for (int rank = 0; rank < size; ++rank) {
    const pid_t child = fork();
    if (child > 0) {
      children.push_back(child);
      continue;
    }
    int code = 0;
    const auto say = [&](const std::string& text) {
      write_file(messages.root() / std::to_string(rank), text);
    };
    try {
      set_log_quiet(true);
      const Joined member({.rank = rank, .size = size, .local_rank = rank, .meeting = meeting},
                          timeout);
      ++*joined;
      try {
        work();
      } catch (const Error& error) {
        if (error.code() != ExitCode::process_lost) processes().leave(error.what());
        throw;
      }
    } catch (const Error& error) {
      say(error.what());
      code = static_cast<int>(error.code());
    } catch (const std::exception& error) {
      say(error.what());
      code = 70;
    }
    leave(testing::Test::HasFailure() ? 1 : code);
  }
  while (meanwhile && *joined < size) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  if (meanwhile) meanwhile(children);
  const auto begun = std::chrono::steady_clock::now();
  std::vector<Ended> all(children.size());
  for (std::size_t left = children.size(); left > 0;) {
    int status = 0;
    const pid_t child = waitpid(-1, &status, 0);
    const auto at = std::find(children.begin(), children.end(), child);
    if (at == children.end()) continue;
    --left;
    const auto rank = static_cast<std::size_t>(at - children.begin());
    const auto file = messages.root() / std::to_string(rank);
    all[rank] = {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
                 std::filesystem::exists(file) ? read_text(file) : std::string(),
                 std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count()};
  }
  return all;
}

// The same for work that must succeed.
inline void expect_in_processes(int size, const std::function<void()>& work) {
  for (const Ended& one : in_processes(size, work)) EXPECT_EQ(one.code, 0) << one.message;
}

}  // namespace sgmae
