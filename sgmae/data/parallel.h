// Internal to data/: work shared out over threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>

#include "sgmae/base/threads.h"

namespace sgmae {

// Has 0 … count-1 done in pieces of `share` on up to `threads` threads, the calling one among them,
// and returns when all is done: each thread makes itself a worker and hands it the
// pieces that it takes, work(begin, end). After an exception no further pieces are taken, and the
// first one is thrown at the end.
template <class MakeWorker>
void in_parallel(std::int64_t count, std::int64_t share, std::int64_t threads,
                 const MakeWorker& make_worker) {
  std::atomic<std::int64_t> next{0};
  std::mutex mutex;
  std::exception_ptr error;
  const auto run = [&] {
    try {
      auto work = make_worker();
      for (std::int64_t begin = next.fetch_add(share); begin < count; begin = next.fetch_add(share))
        work(begin, std::min(begin + share, count));
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!error) error = std::current_exception();
      next = count;
    }
  };
  Threads helpers(static_cast<int>(std::min(threads, (count + share - 1) / share)) - 1, run);
  run();
  helpers.join();
  if (error) std::rethrow_exception(error);
}

}  // namespace sgmae
