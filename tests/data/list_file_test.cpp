// Oracle: what each file says, written out by hand; quotes as in RFC 4180.
#include "sgmae/data/list_file.h"

#include <gtest/gtest.h>

#include "folder.h"
#include "sgmae/base/rng.h"

namespace sgmae {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

Pairs pairs_in(const std::string& text, const std::string& image_key = "",
               const std::string& label_key = "") {
  Pairs pairs;
  for (const ListLine& line : parse_list(as_utf8(text, "x"), "x", image_key, label_key).lines)
    pairs.emplace_back(line.path, line.label);
  return pairs;
}

TEST(ParseList, Separators) {
  const Pairs expected{{"a.jpg", "0"}, {"b c.jpg", "tabby cat"}};
  for (const char* text : {
           "a.jpg 0\nb c.jpg tabby cat\n",
           "a.jpg\t0\nb c.jpg\ttabby cat",
           "a.jpg,0\r\nb c.jpg,tabby cat\r\n",
           "a.jpg;0\nb c.jpg;tabby cat\n",
           "a.jpg,0\rb c.jpg,tabby cat\r",
           "\n\n  a.jpg   0  \n\n  b c.jpg   tabby cat\n",
           "\"a.jpg\",\"0\"\n\"b c.jpg\",\"tabby cat\"\n",
           "\"a.jpg\" 0\n\"b c.jpg\" tabby cat\n",
           "filename,label\na.jpg,0\nb c.jpg,tabby cat\n",
           "Image Path,Class Label\na.jpg,0\nb c.jpg,tabby cat\n",
           ",path,target,split\n0,a.jpg,0,train\n1,b c.jpg,tabby cat,val\n",
           "label,file_name\n0,a.jpg\ntabby cat,b c.jpg\n",
           "path label\na.jpg 0\nb c.jpg tabby cat\n",
           "label\tpath\n0\ta.jpg\ntabby cat\tb c.jpg\n",
           "what,which\na.jpg,0\nb c.jpg,tabby cat\n",
       })
    EXPECT_EQ(pairs_in(text), expected) << text;
  EXPECT_EQ(pairs_in("label path\n0 a.jpg\n1 b c.jpg\n"),
            (Pairs{{"a.jpg", "0"}, {"b c.jpg", "1"}}));
}

TEST(ParseList, PathsAlone) {
  const Pairs expected{{"a.jpg", ""}, {"b c.PNG", ""}};
  for (const char* text : {"a.jpg\nb c.PNG\n", "path\na.jpg\nb c.PNG", "\"a.jpg\"\n\"b c.PNG\"\n"})
    EXPECT_EQ(pairs_in(text), expected) << text;
  EXPECT_FALSE(parse_list("a.jpg\n", "x").labelled);
  EXPECT_TRUE(parse_list("path,label\na.jpg,\n", "x").labelled);
  // Commas and semicolons inside of names part nothing.
  EXPECT_EQ(pairs_in("a, b.jpg\nc; d.jpg 3\n"), (Pairs{{"a, b.jpg", ""}, {"c; d.jpg", "3"}}));
  // Types that are not read have labels too.
  EXPECT_EQ(pairs_in("a.avif 3\nb 4\n"), (Pairs{{"a.avif", "3"}, {"b", "4"}}));
}

TEST(ParseList, Quotes) {
  EXPECT_EQ(
      pairs_in("path,label\n\"a,b.jpg\",\"say \"\"cat\"\"\"\nc.jpg,\"two\nlines\"\nd.jpg,x\n"),
      (Pairs{{"a,b.jpg", "say \"cat\""}, {"c.jpg", "two\nlines"}, {"d.jpg", "x"}}));
  EXPECT_EQ(pairs_in("a.jpg,5\" screen\nb.jpg,x\n"),
            (Pairs{{"a.jpg", "5\" screen"}, {"b.jpg", "x"}}));
  const ListFile list = parse_list("path,label\n\"a.jpg\",\"x\ny\"\nb.jpg,z\n", "x");
  EXPECT_EQ(list.lines[1].number, 4);
  const auto why = error_of(ExitCode::data, [] { pairs_in("path,label\na.jpg,1\nb.jpg,\"x\n"); });
  EXPECT_NE(why.find("line 3: a quote"), std::string::npos) << why;
}

TEST(ParseList, Encodings) {
  const Pairs expected{{"ä.jpg", "3"}};
  EXPECT_EQ(pairs_in("\xef\xbb\xbfä.jpg 3\n"), expected);
  EXPECT_EQ(pairs_in("\xef\xbb\xbfpath,label\nä.jpg,3\n"), expected);
  const std::string little("\xff\xfe\xe4\0.\0j\0p\0g\0 \0\x33\0\n\0", 18);
  EXPECT_EQ(pairs_in(little), expected);
  std::string big = little;
  for (std::size_t i = 0; i < big.size(); i += 2) std::swap(big[i], big[i + 1]);
  EXPECT_EQ(pairs_in(big), expected);
  EXPECT_EQ(as_utf8(std::string("\xff\xfe\x3d\xd8\x08\xde", 6), "x"), "😈");  // a pair of units
  error_of(ExitCode::data, [] { as_utf8(std::string("a\0b", 3), "x"); });
}

TEST(ParseList, Columns) {
  const char* text = "image,mask,species,age\na.jpg,a.png,cat,3\n";
  EXPECT_EQ(pairs_in(text, "", "species"), (Pairs{{"a.jpg", "cat"}}));
  EXPECT_EQ(pairs_in(text, "mask", "age"), (Pairs{{"a.png", "3"}}));
  const ListFile list = parse_list(text, "x");
  EXPECT_NE(list.remark.find("--label_key"), std::string::npos);
  EXPECT_FALSE(list.labelled);
  const auto why = error_of(ExitCode::data, [&] { pairs_in(text, "", "kind"); });
  EXPECT_NE(why.find("image, mask, species, age"), std::string::npos) << why;
  error_of(ExitCode::data, [&] { pairs_in("a.jpg,3\n", "", "kind"); });
  // More columns than two without names: several labels, or nothing to guess.
  EXPECT_EQ(pairs_in("a.jpg,0,1\n"), (Pairs{{"a.jpg", "0, 1"}}));
  EXPECT_NE(error_of(ExitCode::data, [&] { pairs_in("a.jpg,cat,train\n"); }).find("header"),
            std::string::npos);
  EXPECT_NE(error_of(ExitCode::data, [&] { pairs_in("path,label\na.jpg,1\n,2\n"); }).find("line 3"),
            std::string::npos);
}

TEST(ParseList, Parts) {
  const ListFile list =
      parse_list("path,label,Split\na.jpg,x,Train\nb.jpg,y,validation\nc.jpg,x,test\n", "x");
  EXPECT_TRUE(list.parts);
  EXPECT_EQ(list.lines[0].part, "train");
  EXPECT_EQ(list.lines[1].part, "validation");
  EXPECT_EQ(list.lines[1].label, "y");
  EXPECT_TRUE(parse_list("path\tsubset\na.jpg\ttrain\nb.jpg\ttest\n", "x").parts);
  // One part alone, and words that are none; the column is then what it was without.
  for (const char* text :
       {"path,label,split\na.jpg,x,test\nb.jpg,x,test\n",
        "path,label,split\na.jpg,x,0\nb.jpg,x,1\n", "path,label,set\na.jpg,x,train\nb.jpg,x,test\n",
        "a.jpg train\nb.jpg test\n"})
    EXPECT_FALSE(parse_list(text, "x").parts) << text;
  EXPECT_FALSE(parse_list("path,split\na.jpg,train\nb.jpg,test\n", "x", "", "split").parts);
  const ListFile more =
      parse_list("path,label,split\na.jpg,x,train\nb.jpg,x,test\nc.jpg,x,extra\n", "x");
  EXPECT_FALSE(more.parts);
  EXPECT_NE(more.remark.find("'extra'"), std::string::npos) << more.remark;
}

// Whatever the bytes: lines, or an Error.
TEST(ParseList, AnyBytes) {
  const std::string alphabet =
      "\"\",,;\t \n\r.jpg\xff\xfe"
      "1ab\\";
  for (std::int64_t round = 0; round < 20'000; ++round) {
    Rng rng(7, 0, round, Purpose::augment);
    std::string text;
    for (std::int64_t i = rng.below(40); i > 0; --i)
      text +=
          alphabet[static_cast<std::size_t>(rng.below(static_cast<std::int64_t>(alphabet.size())))];
    try {
      for (const auto& [path, label] : pairs_in(text)) EXPECT_FALSE(path.empty());
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::data);
    }
  }
}

}  // namespace
}  // namespace sgmae
