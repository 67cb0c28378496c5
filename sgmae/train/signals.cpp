#include "sgmae/train/signals.h"

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
  struct sigaction action {};
  action.sa_handler = on_stop_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, &old_interrupt_);
  sigaction(SIGTERM, &action, &old_terminate_);
}

StopSignals::~StopSignals() {
  sigaction(SIGINT, &old_interrupt_, nullptr);
  sigaction(SIGTERM, &old_terminate_, nullptr);
}

bool stop_requested() {
  return requested != 0;
}

}  // namespace sgmae
