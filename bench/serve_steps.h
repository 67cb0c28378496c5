// The part of a bench that is timed from outside (bench/machine.py): a JSON line when ready, then
// one for each line read, the number of steps to time.
#pragma once

#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <iostream>

namespace sgmae {

// The largest resident set so far.
inline double peak_mib() {
  struct rusage usage {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

// Of all threads, in the program and for it in the system.
inline double processor_seconds() {
  struct rusage usage {};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

template <class Step>
void serve_steps(const Step& step) {
  step();
  step();
  std::printf("{\"peak_mib\": %.0f}\n", peak_mib());
  std::fflush(stdout);
  int steps = 0;
  while (std::cin >> steps) {
    const auto start = std::chrono::steady_clock::now();
    const double used = processor_seconds();
    for (int i = 0; i < steps; ++i) step();
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    std::printf("{\"seconds\": %.6f, \"cpu_seconds\": %.6f, \"peak_mib\": %.0f}\n",
                time.count() / steps, (processor_seconds() - used) / steps, peak_mib());
    std::fflush(stdout);
  }
}

}  // namespace sgmae
