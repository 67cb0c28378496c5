// Oracle: the rules written out by hand.
#include "sgmae/data/labels.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "folder.h"

namespace sgmae {
namespace {

struct Read {
  Labels labels;
  std::vector<LeftOut> left_out;
};

Read read(const std::vector<std::string>& words) {
  Read result;
  result.labels = number_by_word(
      words, "x.txt", [](std::size_t i) { return str("line ", i + 1); }, result.left_out);
  return result;
}

TEST(Labels, ByNameInSortedOrder) {
  const Labels labels = number_by_name({"b", "", "10", "9", "b"});
  EXPECT_EQ(labels.class_names, (Names{"10", "9", "b"}));
  EXPECT_EQ(labels.labels, (Ids{2, -1, 0, 1, 2}));
}

TEST(Labels, NamesThatStandTwiceAreToldApart) {
  using Names = std::vector<std::string>;
  EXPECT_EQ(told_apart({"a", "b", "b"}), (Names{"a", "b", "b (2)"}));
  EXPECT_EQ(told_apart({"b", "b", "b (1)"}), (Names{"b", "b (1)", "b (1) (2)"}));
  EXPECT_EQ(told_apart({"b", "a"}), (Names{"b", "a"}));
}

TEST(Labels, FoldersThatAreAllNumbersStandForThemselves) {
  EXPECT_EQ(number_folders({"3", "", "0"}, "x").labels, (Ids{3, -1, 0}));
  Names folders;
  for (int i = 0; i < 50; ++i) folders.push_back(std::to_string(i));
  folders.push_back("misc");  // one folder in many may be called anything
  EXPECT_EQ(number_folders(folders, "x").class_names.size(), 51u);
}

TEST(Labels, NumbersAsPeopleWriteThem) {
  const Read numbers = read({"3", "", "0", "-1", "2.0", "[1]", " 1 ", "-1.0", "0.000", "3.",
                             "[ 2 ]", "007", "4.00e+00", "1.2e1", "-1.0e+00"});
  EXPECT_EQ(numbers.labels.labels, (Ids{3, -1, 0, -1, 2, 1, 1, -1, 0, 3, 2, 7, 4, 12, -1}));
  EXPECT_EQ(numbers.labels.class_names.size(), 13u);
  EXPECT_TRUE(numbers.left_out.empty());
  for (const char* none :
       {"", "x", "1e3", "-2", "1.5", "[1, 2]", "[]", ".", "--1", "0x1", "1.0e99", "nan.", "1.inf"})
    EXPECT_FALSE(label_number(none).has_value()) << none;
  const auto why = error_of(ExitCode::data, [] { read({"99999999999"}); });
  EXPECT_NE(why.find("x.txt is too large"), std::string::npos) << why;
  EXPECT_EQ(read({"99999999999999999999"}).labels.labels, (Ids{0}));  // a name
}

TEST(Labels, TrueAndFalse) {
  for (const auto& words :
       {Names{"True", "False", "", "True"}, Names{"true", "false", "-1", "TRUE"}}) {
    EXPECT_EQ(read(words).labels.labels, (Ids{1, 0, -1, 1}));
    EXPECT_EQ(read(words).labels.class_names, (Names{"false", "true"}));
  }
  EXPECT_EQ(read({"true"}).labels.labels, Ids{1});  // no other is needed to tell
  EXPECT_EQ(read({"true", "cat"}).labels.class_names, (Names{"cat", "true"}));
}

// One odd word among numbers is a slip, many are names.
TEST(Labels, OddOnesAmongNumbers) {
  Names words(18, "4");
  words[7] = "four";
  words[9] = "nan";  // pandas
  const Read slip = read(words);
  EXPECT_EQ(slip.labels.labels[0], 4);
  EXPECT_EQ(slip.labels.labels[7], -1);
  EXPECT_EQ(slip.labels.labels[9], -1);
  ASSERT_EQ(slip.left_out.size(), 1u);
  EXPECT_EQ(slip.left_out[0].count, 1);
  EXPECT_EQ(slip.left_out[0].weight, LeftOut::Weight::lost);
  EXPECT_EQ(slip.left_out[0].example, "line 8: 'four'");
  EXPECT_EQ(slip.labels.class_names.size(), 5u);

  const Read names = read({"1", "2", "plus", "-1"});
  EXPECT_EQ(names.labels.class_names, (Names{"1", "2", "plus"}));
  EXPECT_EQ(names.labels.labels, (Ids{0, 1, 2, -1}));
}

TEST(Labels, SeveralInOneAreNotUnderstood) {
  const Read several = read({"0 1 0", "[1, 2]", "1;0", "0,1"});
  EXPECT_EQ(several.labels.labels, (Ids{-1, -1, -1, -1}));
  ASSERT_EQ(several.left_out.size(), 1u);
  EXPECT_EQ(several.left_out[0].count, 4);
}

TEST(Labels, OfJson) {
  const auto label = [](const char* text) { return label_of_json(nlohmann::json::parse(text)); };
  const std::vector<std::pair<const char*, const char*>> understood{
      {"3", "3"},           {"3.0", "3"}, {"[3]", "3"}, {"[3.0]", "3"},      {"true", "true"},
      {"\" cat \"", "cat"}, {"null", ""}, {"-1", "-1"}, {"[\"cat\"]", "cat"}};
  for (const auto& [text, expected] : understood) EXPECT_EQ(label(text), expected) << text;
  for (const char* text : {"3.5", "[1, 2]", "[]", "{}", "[[3]]", "1e300", "{\"id\": 3}"})
    EXPECT_FALSE(label(text).has_value()) << text;
}

}  // namespace
}  // namespace sgmae
