// Oracle: objects counted by hand.
#include "sgmae/data/inspect_objects.h"

#include <gtest/gtest.h>

#include "tests/data/annotated.h"

namespace sgmae {
namespace {

TEST(InspectObjects, Counts) {
  const Folder folder;
  for (const char* name : {"a.png", "b.png", "c.png"}) folder.image(name, 0, 200, 100);
  folder.write("x.json", R"({"images": [
    {"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}, {"id": 3, "file_name": "c.png"}],
   "categories": [{"id": 1, "name": "p"}, {"id": 2, "name": "q"}],
   "annotations": [
    {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 31, 33], "area": 1023},
    {"id": 2, "image_id": 1, "category_id": 1, "bbox": [0, 0, 32, 32], "area": 1024},
    {"id": 3, "image_id": 1, "category_id": 2, "bbox": [0, 0, 96, 96], "area": 9216,
     "segmentation": [[0, 0, 96, 0, 96, 96]]},
    {"id": 4, "image_id": 3, "category_id": 1, "bbox": [0, 0, 5, 5], "area": 25},
    {"id": 5, "image_id": 3, "category_id": 1, "bbox": [0, 0, 5, 5], "area": 25, "iscrowd": 1}]})");
  const ObjectStats stats = inspect_objects(*open_annotated(folder.path("x.json")));
  EXPECT_EQ(stats.objects, 4);
  EXPECT_EQ(stats.crowds, 1);
  EXPECT_EQ(stats.with_outline, 1);
  EXPECT_EQ(stats.small, 2);
  EXPECT_EQ(stats.medium, 1);
  EXPECT_EQ(stats.large, 1);
  EXPECT_EQ(stats.images, 3);
  EXPECT_EQ(stats.images_without, 1);
  EXPECT_EQ(stats.fewest, 1);
  EXPECT_EQ(stats.median, 3);
  EXPECT_EQ(stats.most, 3);
  ASSERT_EQ(stats.classes.size(), 2u);
  EXPECT_EQ(stats.classes[0].objects, 3);
  EXPECT_EQ(stats.classes[0].images, 2);
  EXPECT_EQ(stats.classes[1].images, 1);
  const auto json = to_json(stats);
  EXPECT_EQ(json["classes"][1]["name"], "q");
  EXPECT_EQ(json["objects_per_image"]["most"], 3);
}

}  // namespace
}  // namespace sgmae
