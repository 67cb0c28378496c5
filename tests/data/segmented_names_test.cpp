// Oracles: texts and what they say.
#include "sgmae/data/segmented_names.h"

#include <gtest/gtest.h>

#include "tests/data/folder.h"

namespace sgmae {
namespace {

TEST(LabelNames, OneALine) {
  EXPECT_EQ(parse_label_names("sky\n a tree \r\n\n"), (LabelNames{{0, "sky"}, {1, "a tree"}}));
  EXPECT_EQ(parse_label_names("0: unlabeled\n12: hat\n"),
            (LabelNames{{0, "unlabeled"}, {12, "hat"}}));
  for (const char* other : {"", "path: .\nnames:\n", "0: x\ny\n", "# a\ntrain: b\n"})
    EXPECT_TRUE(parse_label_names(other).empty()) << other;
}

TEST(LabelNames, OfCategories) {
  const Folder folder;
  folder.write("panoptic_val2017.json",
               R"({"images": [{"id": 1}], "categories": [{"id": 1, "name": "person", "isthing": 1},
                  {"name": "sky", "id": 187}, {"id": 1e9, "name": "far"}]})");
  const LabelNames want{{1, "person"}, {187, "sky"}};
  EXPECT_EQ(find_label_names(folder.path()), want);
  folder.write("classes.txt", "names:\n  0: person\n");  // of another kind
  EXPECT_EQ(find_label_names(folder.path()), want);
  folder.write("labels.txt", "a\n");
  EXPECT_EQ(find_label_names(folder.path()), (LabelNames{{0, "a"}}));
  for (const char* damaged : {"", "{", "[1]", R"({"categories": [1]})", R"({"categories": 3})"}) {
    folder.write("x.json", damaged);
    EXPECT_TRUE(read_category_names(folder.path("x.json")).empty()) << damaged;
  }
}

}  // namespace
}  // namespace sgmae
