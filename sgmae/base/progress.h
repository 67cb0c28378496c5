// How far long work is, and when it will be done: on a terminal a line that is redrawn in place,
//
//   features: 1200/5784, 12 s left
//
// elsewhere a line of the log every half minute. Work that takes less than five seconds is silent.
//
//   Progress progress("features", images);
//   for (…) progress.show(++done);
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>

#include "sgmae/base/clock.h"

namespace sgmae {

class Progress {
 public:
  // `what` is done `total` times. `now` gives seconds.
  Progress(std::string what, std::int64_t total, double (*now)() = seconds_now);
  ~Progress();  // erases the line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // So many are done; more than `total` counts as all. Any thread may call it, at any rate.
  void show(std::int64_t done);

 private:
  const std::string what_;
  const std::int64_t total_;
  double (*const now_)();
  const double begun_;
  std::atomic<double> next_;  // when something is shown again
  std::mutex mutex_;
  bool drawn_ = false;
};

// "features: 1200/5784, 12 s left" after so many seconds.
std::string progress_text(const std::string& what, std::int64_t done, std::int64_t total,
                          double seconds);

}  // namespace sgmae
