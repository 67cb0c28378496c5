// Oracle: what one loop would do.
#include "sgmae/data/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

namespace sgmae {
namespace {

TEST(InParallel, DoesEachOnce) {
  for (const std::int64_t threads : {0, 1, 3, 50}) {
    std::vector<std::atomic<int>> done(101);
    in_parallel(101, 7, threads, [&] {
      return [&](std::int64_t begin, std::int64_t end) {
        EXPECT_LE(end - begin, 7);
        for (; begin < end; ++begin) ++done[static_cast<std::size_t>(begin)];
      };
    });
    for (const auto& times : done) EXPECT_EQ(times, 1);
  }
}

TEST(InParallel, ThrowsWhatAWorkerThrew) {
  std::atomic<int> pieces{0};
  const auto run = [&] {
    in_parallel(1'000'000, 1, 3, [&] {
      return [&](std::int64_t, std::int64_t) {
        if (++pieces >= 10) throw std::runtime_error("ten");
      };
    });
  };
  EXPECT_THROW(run(), std::runtime_error);
  EXPECT_LT(pieces, 20);  // each thread may have one under way
}

}  // namespace
}  // namespace sgmae
