// Oracle: painted images, whose pixels tell their class.
#include "sgmae/eval/segmentation_test.h"

#include <ATen/ops/stack.h>
#include <gtest/gtest.h>

#include "sgmae/base/file.h"
#include "sgmae/base/log.h"
#include "tests/eval/segments_data.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

// By colour, pixel by pixel: red is the box, green and blue the disc. Pixels are in 0 .. 1.
PixelClassifier by_colour() {
  const auto logits = [](const at::Tensor& pixels) {
    const at::Tensor red = pixels.select(1, 0), green = pixels.select(1, 1);
    return at::stack({red.sub(green).abs().neg().add(0.4), red.sub(green), green.sub(red)}, 1);
  };
  return {.logits = logits,
          .side = 48,
          .patch = 8,
          .channels = 3,
          .normalisation = {{0, 0, 0}, {1, 1, 1}}};
}

class SegmentationTests : public testing::Test {
 protected:
  SegmentationTests() {
    set_log_quiet(true);
    segments::write(root_ / "data", "val", 5);
  }

  std::unique_ptr<SegmentedImages> open() const {
    return open_segmented((root_ / "data").string(), "val", SegmentedFormat::folders,
                          {.classes = 3});
  }

  const TemporaryFolder folder_;
  const fs::path root_ = folder_.root();
};

TEST_F(SegmentationTests, CountEveryPixelOfEveryImageOnce) {
  const auto data = open();
  const SegmentationTest test = test_segmentation(by_colour(), *data, {});
  EXPECT_EQ(test.images, 5);
  EXPECT_EQ(test.unreadable, 0);
  EXPECT_EQ(test.counts.pixels(), 5 * 48 * 48);
  EXPECT_EQ(test.counts.mean_iou(), 1);
  ASSERT_EQ(test.scores.size(), 5u);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(test.scores[i].image, static_cast<std::int64_t>(i));
  EXPECT_EQ(to_json(test, data->class_names())["test_images"], 5);
}

TEST_F(SegmentationTests, LeaveOutWhatCannotBeReadAndSaySo) {
  const auto data = open();
  write_file(root_ / "data/labels/val/2.png", "no labels");
  write_file(root_ / "data/images/val/3.png", "no photo");
  const SegmentationTest test = test_segmentation(by_colour(), *data, {});
  EXPECT_EQ(test.images, 3);
  EXPECT_EQ(test.unreadable, 2);
  for (int n = 0; n < 5; ++n) write_file(root_ / str("data/images/val/", n, ".png"), "none");
  EXPECT_NE(error_of(ExitCode::data, [&] { test_segmentation(by_colour(), *data, {}); })
                .find("none of the images"),
            std::string::npos);
}

TEST_F(SegmentationTests, ShowTheBestAndTheWorst) {
  // One image has more of a class than it shows.
  segments::Painted wrong = segments::paint(1002);
  for (std::size_t i = 0; i < 700; ++i) wrong.labels.labels[i] = 1;
  write_png(root_ / "data/labels/val/2.png",
            {segments::side, segments::side, 1, wrong.labels.labels});
  const auto data = open();
  const SegmentationTest test = test_segmentation(by_colour(), *data, {});
  EXPECT_LT(test.scores[2].miou, 1);
  fs::create_directories(root_ / "figures");
  write_pictures(root_ / "figures", by_colour(), *data, test, {}, 2);
  for (const char* name : {"worst_01.png", "worst_02.png", "best_01.png", "best_02.png"})
    EXPECT_TRUE(fs::exists(root_ / "figures" / name)) << name;
  EXPECT_NE(read_text(root_ / "figures/worst_01.png"), read_text(root_ / "figures/best_01.png"));
}

}  // namespace
}  // namespace sgmae
