// Internal to data/: work shared out over threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>

namespace sgmae {

// Calls `run` on up to `threads` threads at once, the calling one among them, and returns when all
// are done. Where the machine grants fewer threads, it is called on those, and never on more than
// 256. `run` must not throw.
void run_on_threads(std::int64_t threads, const std::function<void()>& run);

// Has 0 … count-1 done in pieces of `share`: each thread makes itself a worker and hands it the
// pieces that it takes, work(begin, end). After an exception no further pieces are taken, and the
// first one is thrown at the end.
template <class MakeWorker>
void in_parallel(std::int64_t count, std::int64_t share, std::int64_t threads,
                 const MakeWorker& make_worker) {
  std::atomic<std::int64_t> next{0};
  std::mutex mutex;
  std::exception_ptr error;
  run_on_threads(std::min(threads, (count + share - 1) / share), [&] {
    try {
      auto work = make_worker();
      for (std::int64_t begin = next.fetch_add(share); begin < count; begin = next.fetch_add(share))
        work(begin, std::min(begin + share, count));
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!error) error = std::current_exception();
      next = count;
    }
  });
  if (error) std::rethrow_exception(error);
}

}  // namespace sgmae
