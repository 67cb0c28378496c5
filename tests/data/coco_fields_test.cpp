// Oracle: what was written. Errors and counts are tested where users meet them, in
// coco_file_test.cpp.
#include "sgmae/data/coco_fields.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace sgmae {
namespace {

// What a reader makes of a text; nothing where it says that the field is wrong.
template <class Read>
auto read(const std::string& text, const Read& reader)
    -> std::optional<decltype(reader(std::declval<JsonReader&>()))> {
  JsonReader json(text, "a.json");
  try {
    return reader(json);
  } catch (const WrongField& wrong) {
    EXPECT_NE(wrong.why, "");
    return {};
  }
}

// Reading over an outline and reading it say the same.
TEST(CocoFields, OutlinesAreReadOverAsTheyAreRead) {
  for (const char* text :
       {"null", "[]", "[[]]", "[[1, 2, 3, 4]]", "[[1, 2, 3, 4, 5, 6]]",
        "[[1, 2], [1, 2, 3, 4, 5, 6]]", "[[1, 2, 3]]", "[1]", "7", "{}", "[[1e9, 2, 3, 4, 5, 6]]",
        "[[999999.5, -1e6, 1e-9, 4, 5, 6]]", R"({"size": [2, 3], "counts": "06"})",
        R"({"size": [2, 3], "counts": [1, 5]})", R"({"size": [2, 3], "counts": [1, 4]})",
        R"({"size": [2, 3], "counts": "07"})"}) {
    const auto shape = read(text, shape_of);
    const auto scanned = read(text, scan_shape);
    ASSERT_EQ(shape.has_value(), scanned.has_value()) << text;
    if (!shape) continue;
    EXPECT_EQ(shape->empty(), scanned->empty) << text;
    EXPECT_EQ(shape->runs.size, scanned->runs_size) << text;
  }
  const auto shape = read("[[1, 2], [1.25, -2e0, 3, 4, 5, 6]]", shape_of);
  EXPECT_EQ(shape->polygons, (std::vector<std::vector<double>>{{1.25, -2, 3, 4, 5, 6}}));
  EXPECT_EQ(read("[[1, 2], [1, 2, 3, 4], [1, 2, 3, 4, 5, 6]]", scan_shape)->few_points, 2);
}

TEST(CocoFields, NumbersMayBeTexts) {
  for (const bool as_text : {false, true}) {
    const auto spelled = [&](const std::string& number) {
      return as_text ? '"' + number + '"' : number;
    };
    bool mended = false;
    const auto whole = [&](JsonReader& json) { return whole_of(json, "id", mended); };
    const auto flag = [&](JsonReader& json) { return flag_of(json, "iscrowd", mended); };
    const auto real = [&](JsonReader& json) { return real_of(json, "area", 100, mended); };
    EXPECT_EQ(read(spelled("-12"), whole), -12);
    EXPECT_EQ(read(spelled("1"), flag), true);
    EXPECT_EQ(read(spelled("99.5"), real), 99.5);
    EXPECT_EQ(mended, as_text);
    EXPECT_FALSE(read(spelled("100.5"), real).has_value());
    EXPECT_FALSE(read(spelled("1.5"), whole).has_value());
    EXPECT_FALSE(read(spelled("2"), flag).has_value());
    EXPECT_FALSE(read("\"\"", real).has_value());
  }
}

TEST(CocoFields, NotesKeepTheFirstExample) {
  CocoNotes notes;
  for (const char* example : {"a", "b"}) notes.add(CocoNotes::no_area, [&] { return example; });
  notes.add(CocoNotes::foreign_category, [] { return "c"; });
  const auto all = notes.left_out();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].count, 2);
  EXPECT_EQ(all[0].example, "a");
  EXPECT_NE(all[1].reason.find("categories that the truth does not list"), std::string::npos);
}

}  // namespace
}  // namespace sgmae
