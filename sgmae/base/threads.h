// Threads, as many as are sensible and as the system grants.
#pragma once

#include <functional>
#include <thread>
#include <vector>

namespace sgmae {

// `wanted`, or the most that can be of use: four per processor, and 64 on small machines. Warns
// when that is less.
int useful_threads(int wanted);

// useful_threads(wanted) threads that all run `work`, joined at the end of their life. `work` must
// not throw. Where the system refuses to start one (a limit on processes), those before it do the
// work, which is warned of; there may be none.
class Threads {
 public:
  Threads() = default;
  Threads(int wanted, const std::function<void()>& work);
  ~Threads() { join(); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

  int count() const { return static_cast<int>(threads_.size()); }
  void join();  // waits until all have ended their work; count() is 0 then

 private:
  std::vector<std::thread> threads_;
};

}  // namespace sgmae
