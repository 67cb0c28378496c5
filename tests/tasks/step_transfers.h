// What crosses between the host and the pretended device in the steps of a run.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "sgmae/train/task.h"
#include "tests/pretend_device.h"

namespace sgmae {

class StepTransfers {
 public:
  explicit StepTransfers(std::int64_t batches_per_step) : batches_(batches_per_step) {}

  // To be told of every step when it is done. The first of an epoch is left out, since more than
  // the step lies before it.
  void add(const StepDone& step) {
    const Transfers now = pretend_transfers();
    if (step.step > 1)
      steps_.push_back(
          {now.to_device - last_.to_device, now.to_host - last_.to_host, now.waits - last_.waits});
    last_ = now;
  }

  std::int64_t count() const { return static_cast<std::int64_t>(steps_.size()); }

  // Every batch sent `sent` tensors to the device, and `read` came back, for which alone the host
  // waited; the step itself read once more unless `reads` is false.
  void expect_each(std::int64_t sent, std::int64_t read = 0, bool reads = true) const {
    for (const Transfers& step : steps_) {
      EXPECT_EQ(step.to_device, sent * batches_);
      EXPECT_EQ(step.to_host, read * batches_ + reads);
      EXPECT_EQ(step.waits, step.to_host);
    }
  }

 private:
  std::int64_t batches_;
  Transfers last_;
  std::vector<Transfers> steps_;
};

}  // namespace sgmae
