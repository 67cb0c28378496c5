// Oracle: counts by hand.
#include "sgmae/data/left_out.h"

#include <gtest/gtest.h>

#include "folder.h"

namespace sgmae {
namespace {

using Weight = LeftOut::Weight;

TEST(LeftOut, CountsByReasonAndKeepsTheFirstExample) {
  std::vector<LeftOut> all;
  for (const char* name : {"a/1.exr", "a/2.EXR", "notes.txt", "v.mp4", "README", "x.1234"})
    add_other_file(all, name);
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(all[0],
            (LeftOut{"images of type .exr, which is not read", Weight::lost, 2, "a/1.exr"}));
  EXPECT_EQ(all[1].weight, Weight::by_rule);
  EXPECT_EQ(all[2], (LeftOut{"files of type .mp4", Weight::told, 1, "v.mp4"}));
  EXPECT_EQ(all[3].count, 2);
  EXPECT_EQ(describe(all, Weight::lost),
            "images of type .exr, which is not read: 2 (e.g. a/1.exr)");
  EXPECT_EQ(describe({}, Weight::by_rule), "");
  std::vector<LeftOut> more{{"files of type .mp4", Weight::told, 5, "w.mp4"}};
  add_left_out(more, all);
  EXPECT_EQ(more[0], (LeftOut{"files of type .mp4", Weight::told, 6, "w.mp4"}));
}

// A folder of endings without end must not make a list without end.
TEST(LeftOut, IsBounded) {
  std::vector<LeftOut> all;
  for (char a = 'a'; a <= 'z'; ++a)
    for (char b = 'a'; b <= 'z'; ++b) add_other_file(all, std::string("f.") + a + b + "q");
  EXPECT_LT(all.size(), 50u);
  std::int64_t sum = 0;
  for (const LeftOut& entry : all) sum += entry.count;
  EXPECT_EQ(sum, 26 * 26);
}

TEST(LeftOut, SurvivesTheCache) {
  const std::vector<LeftOut> all{{"a", Weight::lost, 3, "x"}, {"b", Weight::told, 1, ""}};
  ByteWriter writer;
  write_left_out(writer, all);
  ByteReader reader(writer.bytes());
  EXPECT_EQ(read_left_out(reader), all);
  auto damaged = writer.bytes();
  damaged[13] = 9;  // the first weight
  ByteReader other(damaged);
  error_of(ExitCode::data, [&] { read_left_out(other); });
}

}  // namespace
}  // namespace sgmae
