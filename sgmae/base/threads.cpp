#include "sgmae/base/threads.h"

#include <algorithm>
#include <system_error>

#include "sgmae/base/log.h"

namespace sgmae {

int useful_threads(int wanted) {
  constexpr int on_small_machines = 64;
  const int processors = static_cast<int>(std::thread::hardware_concurrency());
  const int most = std::max(on_small_machines, 4 * processors);
  if (wanted > most)
    warn_once(str(wanted, " threads are more than ", processors, " processor(s) can use; ", most,
                  " are started"));
  return std::min(wanted, most);
}

Threads::Threads(int wanted, const std::function<void()>& work) {
  wanted = useful_threads(wanted);
  threads_.reserve(static_cast<std::size_t>(std::max(0, wanted)));
  try {
    while (count() < wanted) threads_.emplace_back(work);
  } catch (const std::system_error& error) {
    warn("only ", count(), " of ", wanted, " threads could be started: ", error.what());
  }
}

void Threads::join() {
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

}  // namespace sgmae
