// Oracle: the benchmark's table of label ids and train ids.
#include <gtest/gtest.h>

#include "tests/data/segmented.h"

namespace sgmae {
namespace {

TEST(SegmentedCityscapes, LabelIds) {
  const Folder folder;
  folder.image("leftImg8bit/train/bonn/bonn_0_leftImg8bit.png");
  folder.image("leftImg8bit/train/ulm/ulm_0_leftImg8bit.png");
  folder.image("leftImg8bit/val/jena/jena_0_leftImg8bit.png");
  std::vector<int> ids;
  for (int id = 0; id < 34; ++id) ids.push_back(id);
  write_values(folder, "gtFine/train/bonn/bonn_0_gtFine_labelIds.png", ids);
  write_values(folder, "gtFine/train/bonn/bonn_0_gtFine_labelTrainIds.png", {99});
  folder.write("gtFine/train/bonn/bonn_0_gtFine_color.png", Folder::png(1));
  write_values(folder, "gtFine/train/ulm/ulm_0_gtFine_labelIds.png", {34});
  write_values(folder, "gtFine/val/jena/jena_0_gtFine_labelTrainIds.png", {0, 18, 255});
  const auto data = open_segmented(folder.path());
  EXPECT_STREQ(data->format(), "Cityscapes");
  EXPECT_EQ(data->classes(), 19);
  EXPECT_EQ(data->class_names()[18], "bicycle");
  EXPECT_TRUE(data->left_out().empty());
  const int no = unlabelled_pixel;
  EXPECT_EQ(first_labels(*data, 0, 34),
            (std::vector<int>{no, no, no, no, no, no, no, 0,  1,  no, no, 2,  3,  4,  no, no, no,
                              5,  no, 6,  7,  8,  9,  10, 11, 12, 13, 14, 15, no, no, 16, 17, 18}));
  error_of(ExitCode::data, [&] { labels_of(*data, 1); });
  const auto val = open_segmented(folder.path(), "val");
  EXPECT_EQ(first_labels(*val, 0, 3), (std::vector<int>{0, 18, no}));
  EXPECT_EQ(val->class_names(), data->class_names());
}

}  // namespace
}  // namespace sgmae
