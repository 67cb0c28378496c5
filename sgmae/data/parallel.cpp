#include "sgmae/data/parallel.h"

#include <algorithm>
#include <exception>
#include <thread>
#include <vector>

namespace sgmae {

void run_on_threads(std::int64_t threads, const std::function<void()>& run) {
  constexpr std::int64_t most = 256;
  std::vector<std::thread> others;
  try {
    for (std::int64_t i = 1; i < std::min(threads, most); ++i) others.emplace_back(run);
  } catch (const std::exception&) {  // no more threads or memory: those there are do it all
  }
  run();
  for (std::thread& thread : others) thread.join();
}

}  // namespace sgmae
