// What a person sees of training: MAE's line every few steps in a log, a bar on a terminal.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>

namespace sgmae {

// Median of the last 20 values and mean of all, as MAE prints them.
class Meter {
 public:
  void add(double value);
  double median() const;  // of the last 20; 0 when there are none
  double mean() const;

 private:
  std::deque<double> recent_;
  double sum_ = 0;
  std::int64_t count_ = 0;
};

std::string clock_text(double seconds);  // 1:02:03

struct EpochConsole {
  std::int64_t epoch = 0;  // finished before; shown is the number of the present one, from 1
  std::int64_t epochs = 0;
  std::int64_t batches = 0;  // of the epoch
  std::int64_t log_every = 20;
  std::int64_t images_per_batch = 0;
  double flop_per_image = 0;

  double lr = 0;
  Meter loss{}, time{}, data{};    // seconds per batch and, of those, waited for data
  std::int64_t device_memory = 0;  // most bytes held there; 0: the process's own memory is shown

  // After batch number `done` - 1: prints the line or redraws the bar, whichever fits.
  void show(std::int64_t done) const;
  std::string line(std::int64_t batch) const;  // Epoch: [3]  [  20/2502]  eta: …
  std::string bar(std::int64_t done) const;
  double images_per_second() const;
  double data_wait() const;  // share of the time
};

}  // namespace sgmae
