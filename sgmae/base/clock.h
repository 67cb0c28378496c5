#pragma once

#include <chrono>

namespace sgmae {

// Of a clock that never steps back: for durations.
inline double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace sgmae
