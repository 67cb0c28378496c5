#include "sgmae/base/signals.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "sgmae/base/error.h"
#include "sgmae/base/log.h"

namespace sgmae {
namespace {

volatile std::sig_atomic_t requested = 0;
std::atomic<std::int64_t> at_stake{-1};
std::atomic<bool> answers{true}, on_terminal{false};
static_assert(std::atomic<std::int64_t>::is_always_lock_free);  // a handler reads them

// Of characters, since a handler may neither allocate nor print.
struct Answer {
  std::array<char, 160> text;
  std::size_t size = 0;

  void add(const char* words) {
    while (*words != '\0' && size < text.size()) text[size++] = *words++;
  }
  void add(std::int64_t number) {
    if (number >= 10) add(number / 10);
    const char digit[2] = {static_cast<char>('0' + number % 10), '\0'};
    add(digit);
  }
};

void answer(int signal) {
  const std::int64_t steps = at_stake;
  Answer said;
  if (on_terminal) said.add("\r\033[K");  // the status line
  said.add(steps < 0 ? "stopping" : "finishing this step, then saving");
  if (signal == SIGINT) {
    said.add("; again to stop now");
    if (steps > 0) {
      said.add(", losing ");
      said.add(steps);
      said.add(steps == 1 ? " step" : " steps");
    }
  }
  said.add("\n");
  // What cannot be written is not missed.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, said.text.data(), said.size);
}

extern "C" void on_stop_signal(int signal) {
  if (requested && signal == SIGINT) _exit(static_cast<int>(ExitCode::interrupted));
  const int error = errno;
  if (!requested && answers) answer(signal);
  requested = 1;
  errno = error;
}

}  // namespace

StopSignals::StopSignals() {
  requested = 0;
  on_terminal = stderr_is_terminal();
  struct sigaction stop {};
  stop.sa_handler = on_stop_signal;
  stop.sa_flags = SA_RESTART;
  sigemptyset(&stop.sa_mask);
  for (std::size_t i = 0; i < handled_.size(); ++i) {
    sigaction(handled_[i], &stop, &old_[i]);
    if (handled_[i] == SIGHUP && old_[i].sa_handler == SIG_IGN)
      sigaction(SIGHUP, &old_[i], nullptr);
  }
}

StopSignals::~StopSignals() {
  for (std::size_t i = 0; i < handled_.size(); ++i) sigaction(handled_[i], &old_[i], nullptr);
}

bool stop_requested() {
  return requested != 0;
}

void set_steps_at_stake(std::int64_t steps) {
  at_stake = steps;
}

void answer_stop_signals(bool answer) {
  answers = answer;
}

}  // namespace sgmae
