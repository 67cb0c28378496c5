// Oracle: what sysconf() says.
#include "sgmae/base/host.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace sgmae {
namespace {

TEST(Host, HasAName) {
  EXPECT_FALSE(host_name().empty());
}

TEST(Host, MemoryIsNoMoreThanTheMachines) {
  const HostMemory memory = host_memory();
  const std::int64_t machine = ::sysconf(_SC_PHYS_PAGES) * ::sysconf(_SC_PAGESIZE);
  EXPECT_GT(memory.available, 0);
  EXPECT_LE(memory.available, memory.total);
  EXPECT_LE(memory.total, machine);
}

}  // namespace
}  // namespace sgmae
