// What a piece of work holds at its peak, of what LibTorch's allocator hands out on this thread.
#pragma once

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <algorithm>
#include <cstdint>
#include <memory>

namespace sgmae {

struct AllocationCounter : c10::MemoryReportingInfoBase {
  std::int64_t held = 0, peak = 0;
  void reportMemoryUsage(void*, std::int64_t bytes, std::size_t, std::size_t,
                         c10::Device) override {
    held += bytes;
    peak = std::max(peak, held);
  }
  bool memoryProfilingEnabled() const override { return true; }
};

template <class Work>
double peak_bytes(const Work& work) {
  const auto counter = std::make_shared<AllocationCounter>();
  const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, counter);
  work();
  return static_cast<double>(counter->peak);
}

}  // namespace sgmae
