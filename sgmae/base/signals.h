// Signals ask a run to stop at the next step, with a checkpoint; a second SIGINT ends the program
// at once. They are SIGINT and SIGTERM, SIGHUP of a terminal that closes (not under nohup, which
// ignores it), SIGUSR1 and SIGUSR2, by which Slurm and others announce the end, and SIGXCPU.
#pragma once

#include <array>
#include <csignal>

namespace sgmae {

// While it lives, these signals set stop_requested() instead of ending the program.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

 private:
  static constexpr std::array handled_{SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGXCPU};
  std::array<struct sigaction, handled_.size()> old_;
};

bool stop_requested();

// Thrown out of long work (a pass over the data set) when stop_requested().
struct StopRequested {};

}  // namespace sgmae
