// Oracle: what one process writes the others read.
#include "sgmae/parallel/common_memory.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include "tests/support/processes.h"

namespace sgmae {
namespace {

TEST(CommonMemory, IsOneMemory) {
  expect_in_processes(3, [] {
    const std::vector<at::Tensor> all = common_memory(5000);
    ASSERT_EQ(all.size(), 3u);
    for (const at::Tensor& one : all) EXPECT_TRUE(at::equal(one, at::zeros({5000})));
    processes().wait_for_all();
    all[static_cast<std::size_t>(processes().rank())].fill_(processes().rank() + 1);
    processes().wait_for_all();
    for (int rank = 0; rank < 3; ++rank)
      EXPECT_TRUE(at::equal(all[static_cast<std::size_t>(rank)], at::full({5000}, rank + 1.0f)));
    processes().wait_for_all();
    if (processes().rank() == 1) all[2][4999] = 7;
    processes().wait_for_all();
    EXPECT_EQ(all[2][4999].item<float>(), 7);
  });
}

TEST(CommonMemory, OfAProcessAlone) {
  const std::vector<at::Tensor> all = common_memory(3);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_TRUE(at::equal(all[0], at::zeros({3})));
}

TEST(CommonMemory, WhereOneIsRefusedNobodyHasIt) {
  expect_in_processes(2, [] {
    // More than can be mapped, in one of them alone.
    const std::int64_t values = processes().rank() == 1 ? std::int64_t{1} << 58 : 16;
    EXPECT_TRUE(common_memory(values).empty());
  });
}

}  // namespace
}  // namespace sgmae
