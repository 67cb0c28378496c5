// sgmae launch: another command in several processes on this machine, and on others by the same
// line there, without Python.
#include <arpa/inet.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <thread>

#include "cli/command.h"
#include "sgmae/base/log.h"
#include "sgmae/base/signals.h"

namespace sgmae {
namespace {

struct LaunchArguments {
  int nproc = 1, nnodes = 1, node_rank = 0;
  std::string master;

  void declare(Options& o) {
    o.section("launch");
    o.add("nproc", nproc, "processes on this machine");
    o.add("nnodes", nnodes, "machines on which this is called");
    o.add("node_rank", node_rank, "number of this machine, from 0");
    o.add("master", master,
          "HOST:PORT of machine 0, where all processes meet; may be left out where there is one");
  }
  void check() const {
    sgmae::check(nproc >= 1 && nproc <= 4096, ExitCode::usage, "nproc must be in 1 .. 4096, not ",
                 nproc);
    sgmae::check(nnodes >= 1, ExitCode::usage, "nnodes must be at least 1, not ", nnodes);
    sgmae::check(node_rank >= 0 && node_rank < nnodes, ExitCode::usage,
                 "node_rank must be in 0 .. ", nnodes - 1, ", but is ", node_rank);
    sgmae::check(nnodes == 1 || !master.empty(), ExitCode::usage,
                 "master is missing: --master HOST:PORT of machine 0, the same on all machines");
    const std::size_t colon = master.rfind(':');
    sgmae::check(
        master.empty() || (colon != std::string::npos && colon > 0 && colon + 1 < master.size()),
        ExitCode::usage, "master: '", master, "' is not HOST:PORT");
  }
};

// One that nobody uses at the moment.
int free_port() {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  const bool found = ::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
                     ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) == 0;
  ::close(listener);
  check(found, ExitCode::usage, "there is no free port on this machine: ", std::strerror(errno));
  return ntohs(address.sin_port);
}

// A process group of its own keeps a terminal's Ctrl-C from reaching it twice.
pid_t start(const LaunchArguments& launch, const std::vector<std::string>& command,
            const std::string& host, const std::string& port, int local_rank) {
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  check(child >= 0, ExitCode::usage, "cannot start a process: ", std::strerror(errno));
  if (child > 0) return child;
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(1);
  const auto set = [](const char* name, const std::string& value) {
    ::setenv(name, value.c_str(), 1);
  };
  set("RANK", std::to_string(launch.node_rank * launch.nproc + local_rank));
  set("WORLD_SIZE", std::to_string(launch.nnodes * launch.nproc));
  set("LOCAL_RANK", std::to_string(local_rank));
  set("LOCAL_WORLD_SIZE", std::to_string(launch.nproc));
  set("MASTER_ADDR", host);
  set("MASTER_PORT", port);
  std::vector<char*> arguments{const_cast<char*>("sgmae")};
  for (const std::string& argument : command)
    arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  ::execv("/proc/self/exe", arguments.data());
  ::_exit(127);
}

// The processes that run, until all have ended.
class Children {
 public:
  void add(pid_t child) { running_.push_back(child); }

  // Waits for all and returns the exit code of the first that failed. Signals that ask to stop are
  // passed on. Where one fails, the others find out and say so themselves; whoever does not is
  // asked to stop, and then killed.
  int wait() {
    constexpr std::chrono::seconds patience(15);
    using Clock = std::chrono::steady_clock;
    Clock::time_point next{};
    std::optional<int> failed;
    int signal = SIGTERM;
    bool passed_on = false;
    while (!running_.empty()) {
      if (stop_requested() && !passed_on) {
        passed_on = true;
        send(SIGTERM);
      }
      int status = 0;
      const pid_t ended = ::waitpid(-1, &status, WNOHANG);
      if (ended <= 0) {
        if (failed && Clock::now() > next) {
          send(signal);
          signal = SIGKILL;
          next = Clock::now() + patience;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
        continue;
      }
      running_.erase(std::find(running_.begin(), running_.end(), ended));
      const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      if (code != 0 && !failed) {
        failed = code;
        next = Clock::now() + patience;
        if (WIFSIGNALED(status)) warn("process ", ended, " was ended by signal ", WTERMSIG(status));
      }
    }
    return failed.value_or(0);
  }

 private:
  void send(int signal) {
    for (const pid_t child : running_) ::kill(child, signal);
  }
  std::vector<pid_t> running_;
};

int run_launch(const LaunchArguments& launch, const std::vector<std::string>& command) {
  launch.check();
  check(!command.empty(), ExitCode::usage,
        "nothing to start; write e.g. sgmae launch --nproc 2 -- pretrain --data_path FOLDER");
  std::string host = "127.0.0.1", port;
  if (launch.master.empty()) {
    port = std::to_string(free_port());
  } else {
    const std::size_t colon = launch.master.rfind(':');
    host = launch.master.substr(0, colon);
    port = launch.master.substr(colon + 1);
  }
  answer_stop_signals(false);  // a process that trains does
  const StopSignals signals;
  Children children;
  for (int i = 0; i < launch.nproc; ++i) children.add(start(launch, command, host, port, i));
  return children.wait();
}

}  // namespace

Command launch_command() {
  const auto options = std::make_shared<LaunchArguments>();
  Command command;
  options->declare(command.options);
  command.positional_help = "[options] -- COMMAND";
  command.run = [options](const std::vector<std::string>& started) {
    if (const int code = run_launch(*options, started); code != 0) throw SilentFailure{code};
    return nlohmann::ordered_json();
  };
  return command;
}

}  // namespace sgmae
