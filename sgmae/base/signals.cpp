#include "sgmae/base/signals.h"

#include <unistd.h>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

volatile std::sig_atomic_t requested = 0;

extern "C" void on_stop_signal(int signal) {
  if (requested && signal == SIGINT) _exit(static_cast<int>(ExitCode::interrupted));
  requested = 1;
}

}  // namespace

StopSignals::StopSignals() {
  requested = 0;
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

}  // namespace sgmae
