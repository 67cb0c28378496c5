// Signals ask a run to stop at the next step, with a checkpoint; a second SIGINT ends the program
// at once. The first is answered on stderr as it comes. They are SIGINT and SIGTERM, SIGHUP of a
// terminal that closes (not under nohup, which ignores it), SIGUSR1 and SIGUSR2, by which Slurm and
// others announce the end, and SIGXCPU.
#pragma once

#include <array>
#include <csignal>
#include <cstdint>

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

// Steps that stopping without a checkpoint would lose, for the answer; negative, as at first:
// nothing trains, and nothing would be saved.
void set_steps_at_stake(std::int64_t steps);

// Whether this process answers. Of several that a signal reaches, one does.
void answer_stop_signals(bool answer);

// Thrown out of long work (a pass over the data set) when stop_requested().
struct StopRequested {};

}  // namespace sgmae
