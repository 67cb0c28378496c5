// Oracle: what a division into shards must be.
#include "sgmae/parallel/shard.h"

#include <gtest/gtest.h>

namespace sgmae {
namespace {

TEST(Shard, ShardsFollowOneAnotherInWholeCacheLines) {
  for (const std::int64_t count : {0, 1, 16, 17, 100, 4096, 12345})
    for (const int processes : {1, 2, 3, 7}) {
      std::int64_t end = 0;
      for (int rank = 0; rank < processes; ++rank) {
        const Shard shard = shard_of(count, rank, processes);
        EXPECT_EQ(shard.begin, end);
        EXPECT_TRUE(shard.begin % 16 == 0 || shard.begin == count);
        EXPECT_LE(std::abs(shard.size() - count / processes), 32);
        end = shard.end;
      }
      EXPECT_EQ(end, count);
    }
}

}  // namespace
}  // namespace sgmae
