// Oracle: the batches of one process, in their order.
#include "sgmae/train/shared_pass.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "tests/data/folder.h"
#include "tests/support/processes.h"

namespace sgmae {
namespace {

// Eleven images, of which the batch of 4 and 5, all of it, and 9 cannot be read.
class SharedRounds : public ::testing::Test {
 protected:
  SharedRounds() {
    for (int i = 0; i < 11; ++i) {
      const std::string name = str("data/", i / 10, i % 10, ".png");
      if (i == 4 || i == 5 || i == 9)
        folder_.write(name, "no image");
      else
        folder_.image(name, 20 * i);
    }
    source_ = open_source(folder_.path("data"), "train", "", DataFormat::automatic);
    options_ = whole_images({});
    options_.batch_size = 2;
    options_.num_workers = 1;
    options_.height = options_.width = 8;
  }

  // Positions in the order in which process 0 can put them together, by round.
  std::vector<Ids> rounds() const {
    std::vector<Ids> all;
    const SharedPass pass = shared_rounds("test", *source_, options_, [&](const Batch& batch) {
      const at::Tensor index = at::cat(processes().gather(at::tensor(batch.index, at::kLong)));
      const auto* const first = index.const_data_ptr<std::int64_t>();
      all.emplace_back(first, first + index.numel());
    });
    EXPECT_EQ(pass.images, 8);
    EXPECT_EQ(pass.unreadable, 3);
    return all;
  }

  const Folder folder_;
  std::unique_ptr<Source> source_;
  LoaderOptions options_;
};

TEST_F(SharedRounds, MeetBatchesInTheOrderOfOneProcess) {
  EXPECT_EQ(rounds(), (std::vector<Ids>{{0, 1}, {2, 3}, {}, {6, 7}, {8}, {10}}));
  expect_in_processes(2, [&] {
    EXPECT_EQ(rounds(), (std::vector<Ids>{{0, 1, 2, 3}, {6, 7}, {8, 10}}));
  });
  expect_in_processes(4, [&] {
    EXPECT_EQ(rounds(), (std::vector<Ids>{{0, 1, 2, 3, 6, 7}, {8, 10}}));
  });
}

TEST_F(SharedRounds, FollowASubset) {
  options_.subset = {10, 4, 5, 9, 3, 0, 8, 9, 2, 1, 7, 6};
  options_.subset.erase(options_.subset.begin() + 7);
  EXPECT_EQ(rounds(), (std::vector<Ids>{{10}, {}, {3, 0}, {8, 2}, {1, 7}, {6}}));
  expect_in_processes(3, [&] {
    EXPECT_EQ(rounds(), (std::vector<Ids>{{10, 3, 0}, {8, 2, 1, 7, 6}}));
  });
}

TEST_F(SharedRounds, EndInAllForTheReasonOfOne) {
  const auto ended = in_processes(2, [&] {
    shared_rounds("test", *source_, options_, [&](const Batch& batch) {
      processes().together([&] {
        for (const std::int64_t index : batch.index)
          check(index != 6, ExitCode::checkpoint, "image ", index, " is too much");
      });
    });
  });
  for (const Ended& one : ended) {
    EXPECT_EQ(one.code, 4);
    EXPECT_NE(one.message.find("image 6 is too much"), std::string::npos) << one.message;
  }
  options_.unreadable = Unreadable::fail;
  for (const Ended& one : in_processes(2, [&] { rounds(); })) {
    EXPECT_EQ(one.code, 3);
    EXPECT_NE(one.message.find("cannot read"), std::string::npos) << one.message;
  }
  options_.unreadable = Unreadable::leave_out;
  options_.subset = {4, 5, 9};
  for (const Ended& one : in_processes(2, [&] { rounds(); })) {
    EXPECT_EQ(one.code, 3);
    EXPECT_NE(one.message.find("none of the images can be read"), std::string::npos) << one.message;
  }
}

}  // namespace
}  // namespace sgmae
