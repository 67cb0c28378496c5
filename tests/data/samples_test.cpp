// Oracle: webdataset 1.0.2's keys and fields of the same names (run by hand: `depth.png` and `jpg`
// are fields of sample 1; `a/__x__/1.jpg` is a sample and `__x__/1.jpg` is none); the choice among
// fields by the rules of docs/data.md.
#include "sgmae/data/samples.h"

#include <gtest/gtest.h>

#include "folder.h"

namespace sgmae {
namespace {

using Weight = LeftOut::Weight;

struct Entry {
  std::string name, contents = {};
  TarEntry::Kind kind = TarEntry::Kind::file;
  std::string target = {};
};

struct Collected {
  std::vector<Sample> samples;
  std::vector<LeftOut> left_out;

  Names names() const {
    Names all;
    for (const Sample& sample : samples) all.push_back(sample.name);
    return all;
  }
  Names labels() const {
    Names all;
    for (const Sample& sample : samples) all.push_back(sample.label);
    return all;
  }
  std::int64_t count(Weight weight) const {
    std::int64_t sum = 0;
    for (const LeftOut& entry : left_out) sum += entry.weight == weight ? entry.count : 0;
    return sum;
  }
};

Collected collect(const std::vector<Entry>& entries, const DataFormat& format = {}) {
  // Each entry's offset is its place among them.
  SampleCollector collector(format,
                            [&](const TarEntry& entry) { return entries[entry.offset].contents; });
  for (std::size_t i = 0; i < entries.size(); ++i)
    collector.add(
        {entries[i].name, i, entries[i].contents.size(), entries[i].kind, entries[i].target});
  Collected result;
  result.samples = collector.finish(result.left_out);
  return result;
}

DataFormat keys(const std::string& image, const std::string& label = "") {
  DataFormat format;
  format.image_key = image;
  format.label_key = label;
  return format;
}

TEST(SplitKey, AsWebDatasetDoes) {
  const auto key = [](const char* name) {
    const auto [key, field] = split_key(name);
    return key + "|" + field;
  };
  EXPECT_EQ(key("a.b/1.Depth.PNG"), "a.b/1|depth.png");
  EXPECT_EQ(key("1.jpg"), "1|jpg");
  EXPECT_EQ(key("a/.x.jpg"), "a/|x.jpg");
  EXPECT_EQ(key("a.b/c"), "a.b/c|");
}

TEST(SampleCollector, TheShortestNameIsTheImage) {
  for (const bool labelled : {true, false}) {
    std::vector<Entry> entries;
    for (const char* key : {"d.1/0", "d.1/1"}) {
      if (labelled) entries.push_back({std::string(key) + ".cls", "3"});
      entries.push_back({std::string(key) + ".depth.png"});
      entries.push_back({std::string(key) + ".JPG"});
      entries.push_back({std::string(key) + ".png"});
    }
    const Collected all = collect(entries);
    EXPECT_EQ(all.names(), (Names{"d.1/0.JPG", "d.1/1.JPG"}));
    EXPECT_EQ(all.labels(), (labelled ? Names{"3", "3"} : Names{"", ""}));
    EXPECT_EQ(all.count(Weight::told), 4);  // the further images
    EXPECT_EQ(all.count(Weight::lost), 0);
  }
}

TEST(SampleCollector, KeysChooseOtherwise) {
  const std::vector<Entry> entries{{"0.jpg"},
                                   {"0.left.png"},
                                   {"0.coarse.cls", "a"},
                                   {"0.fine.cls", "b"},
                                   {"0.txt", "c"},
                                   {"0.json", R"({"kind": 7})"},
                                   {"1.jpg"}};
  const Collected left = collect(entries, keys("Left.PNG", "fine.cls"));
  EXPECT_EQ(left.names(), Names{"0.left.png"});
  EXPECT_EQ(left.labels(), Names{"b"});
  EXPECT_EQ(left.count(Weight::lost), 1);  // sample 1 has none
  EXPECT_EQ(collect(entries, keys("webp; jpg", "txt")).labels(), (Names{"c", ""}));
  EXPECT_EQ(collect(entries, keys("", "kind")).labels(), (Names{"7", ""}));
  const auto why = error_of(ExitCode::data, [&] { collect(entries); });
  EXPECT_NE(why.find("0.coarse.cls"), std::string::npos) << why;
  EXPECT_NE(why.find("--label_key"), std::string::npos) << why;
}

TEST(SampleCollector, TwoFilesForOneMeaning) {
  const std::vector<Entry> dots{{"v1.0/img_1.5x.jpg"},
                                {"v1.0/img_1.5x.cls", "1"},
                                {"v1.0/img_1.7x.jpg"},
                                {"v1.0/img_1.7x.cls", "0"}};
  const auto why = error_of(ExitCode::data, [&] { collect(dots); });
  EXPECT_NE(why.find("img_1.5x.jpg"), std::string::npos) << why;
  EXPECT_NE(why.find("img_1.7x.jpg"), std::string::npos) << why;
  const Collected chosen = collect(dots, keys("7x.jpg"));
  EXPECT_EQ(chosen.names(), Names{"v1.0/img_1.7x.jpg"});
  EXPECT_EQ(chosen.labels(), Names{"0"});  // the label of that name
  error_of(ExitCode::data, [&] { collect({{"1.jpg"}, {"1.JPG"}, {"1.cls", "3"}}); });
}

// A plain archive of files with dots in their names.
TEST(SampleCollector, NothingButImages) {
  const Collected plain = collect({{"cat/a.1.jpg"}, {"cat/a.2.jpg"}, {"cat/b.jpg"}, {"cat/b.jpg"}});
  EXPECT_EQ(plain.samples.size(), 4u);
  EXPECT_EQ(plain.samples[1].place, "cat");
  EXPECT_TRUE(plain.left_out.empty());
}

TEST(SampleCollector, EqualKeysApartAreTwoSamples) {
  const Collected all =
      collect({{"1.jpg"}, {"1.cls", "a"}, {"2.jpg"}, {"1.jpg"}, {"1.cls", "b"}, {"2.cls", "c"}});
  EXPECT_EQ(all.names(), (Names{"1.jpg", "2.jpg", "1.jpg"}));
  EXPECT_EQ(all.labels(), (Names{"a", "c", "b"}));
  EXPECT_TRUE(all.left_out.empty());
}

TEST(SampleCollector, Labels) {
  const Collected all = collect({{"0.jpg"},
                                 {"0.CLS",
                                  "\xef\xbb\xbf"
                                  "3\n"},
                                 {"1.jpg"},
                                 {"1.JSON", R"({"cls": 2.0})"},
                                 {"2.jpg"},
                                 {"2.json", R"({"label": [1, 2]})"},
                                 {"3.jpg"},
                                 {"3.json", "{broken"},
                                 {"4.jpg"},
                                 {"4.json", R"({"caption": "x"})"},
                                 {"5.jpg"},
                                 {"5.json", R"({"label": true})"},
                                 {"5.cls", "7"},
                                 {"6.cls", "1"}});
  EXPECT_EQ(all.labels(), (Names{"3", "2", "", "", "", "7"}));
  EXPECT_EQ(all.count(Weight::lost), 3);  // 2 and 3 not understood, 6 without an image
}

TEST(SampleCollector, NothingGoesWithoutACount) {
  const Collected all = collect({{"__meta__/1.jpg"},
                                 {"a/__x__/2.jpg"},
                                 {"._3.jpg"},
                                 {"4.exr"},
                                 {"4.cls", "1"},
                                 {"5.jpg"},
                                 {"5.exr"},
                                 {"6.mp4"},
                                 {"readme"}});
  EXPECT_EQ(all.names(), (Names{"a/__x__/2.jpg", "5.jpg"}));
  EXPECT_EQ(all.count(Weight::by_rule), 3);  // meta, hidden, readme
  EXPECT_EQ(all.count(Weight::lost), 1);     // 4.exr
  EXPECT_EQ(all.count(Weight::told), 2);     // 5.exr, 6.mp4
}

TEST(SampleCollector, Links) {
  using Kind = TarEntry::Kind;
  const Collected all = collect({{"a/1.jpg", "12345"},
                                 {"b/2.jpg", "", Kind::hard_link, "a/1.jpg"},
                                 {"b/2.cls", "4"},
                                 {"b/3.cls", "", Kind::hard_link, "b/2.cls"},
                                 {"b/3.jpg", "12"},
                                 {"c/4.jpg", "", Kind::hard_link, "c/5.jpg"},
                                 {"c/5.jpg", "", Kind::symbolic_link, "a/1.jpg"},
                                 {"c/6.jpg", "", Kind::other}});
  EXPECT_EQ(all.names(), (Names{"a/1.jpg", "b/2.jpg", "b/3.jpg"}));
  EXPECT_EQ(all.samples[1].offset, 0u);
  EXPECT_EQ(all.samples[1].size, 5u);
  EXPECT_EQ(all.labels(), (Names{"", "4", "4"}));
  EXPECT_EQ(all.count(Weight::lost), 3);
  EXPECT_EQ(all.left_out.size(), 3u);
}

}  // namespace
}  // namespace sgmae
