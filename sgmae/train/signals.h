// SIGINT and SIGTERM ask a run to stop at the next step; a second SIGINT ends the program at once.
#pragma once

#include <csignal>

namespace sgmae {

// While it lives, the two signals set stop_requested() instead of ending the program.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

 private:
  struct sigaction old_interrupt_, old_terminate_;
};

bool stop_requested();

// Thrown out of long work (a pass over the data set) when stop_requested().
struct StopRequested {};

}  // namespace sgmae
