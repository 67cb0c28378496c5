// Oracle: WebDataset's and ILSVRC's layouts, written out by hand.
#include <gtest/gtest.h>

#include <cstdlib>

#include "folder.h"

namespace sgmae {
namespace {

class TarSource : public testing::Test {
 protected:
  void SetUp() override { ::setenv("XDG_CACHE_HOME", folder_.path("cache").c_str(), 1); }
  std::unique_ptr<Source> open(const std::string& name = "", const std::string& split = "train",
                               DataFormat format = DataFormat::automatic) const {
    return open_source(folder_.path(name), split, "", format);
  }
  std::string data_error(const std::string& name, const std::string& split = "train") const {
    return error_of(ExitCode::data, [&] { open(name, split); });
  }
  Folder folder_;
};

TEST_F(TarSource, WebDatasetWithClassFiles) {
  for (int shard = 0; shard < 3; ++shard) {
    std::string tar;
    for (int i = 0; i < 2; ++i) {
      const std::string key = str("s", shard, ".d/", i);
      tar += tar_file(key + ".cls", str(shard + i, "\n"));
      tar += tar_file(key + ".png", Folder::png(10 * shard + i));
      tar += tar_file(key + ".seg.png", Folder::png(200));  // a further picture of the sample
    }
    folder_.write(str("set-00", shard, ".tar"), tar + tar_end());
  }
  for (const char* path : {"", "set-{000..002}.tar"}) {
    const auto source = open(path);
    EXPECT_EQ(source->labels(), (Ids{0, 1, 1, 2, 2, 3}));
    EXPECT_EQ(source->class_names(), (Names{"0", "1", "2", "3"}));
    EXPECT_EQ(names_in(*source, folder_)[3], "set-001.tar/s1.d/1.png");
    for (std::int64_t i = 0; i < 6; ++i) EXPECT_EQ(red_of(*source, i), i / 2 * 10 + i % 2);
  }
  EXPECT_EQ(open("set-{000,002}.tar")->size(), 4);
  EXPECT_EQ(open("set-001.tar")->size(), 2);
  EXPECT_NE(data_error("", "val").find("no part for 'val'"), std::string::npos);
  EXPECT_NE(data_error("set-{000..003}.tar").find("set-003.tar"), std::string::npos);
  for (const char* pattern : {"set-{2..1}.tar", "set-{1.tar", "set-{a..b}.tar", "{0..9999999}.tar"})
    error_of(ExitCode::usage, [&] { open(pattern); });
}

TEST_F(TarSource, LabelsInJsonAndSplitsByName) {
  folder_.write("x-train-0.tar",
                tar_file("0.png", Folder::png(1)) + tar_file("0.json", R"({"label": "cat"})") +
                    tar_file("1.png", Folder::png(2)) + tar_file("1.json", R"({"label": "ant"})") +
                    tar_file("2.png", Folder::png(3)) + tar_file("2.json", "{broken"));
  folder_.write("x-val-0.tar",
                tar_file("0.png", Folder::png(4)) + tar_file("0.json", R"({"cls": "cat"})"));
  for (const char* path : {"", "x-train-{0..0}.tar", "x-train-0.tar"}) {
    const auto train = open(path), val = open(path, "val");
    EXPECT_EQ(train->class_names(), (Names{"ant", "cat"}));
    EXPECT_EQ(train->labels(), (Ids{1, 0, -1}));
    val->use_classes_of(*train);
    EXPECT_EQ(val->labels(), (Ids{1}));
    EXPECT_EQ(red_of(*val, 0), 4);
  }
}

TEST_F(TarSource, PlainTarWithFolders) {
  folder_.write("all.tar", tar_file("./b/x.y.png", Folder::png(1)) +
                               tar_file("./b/x.z.png", Folder::png(2)) +
                               tar_file("./a/1.PNG", Folder::png(3)) +
                               tar_file("./a/._1.png", "macOS") + tar_file("./readme", "text"));
  const auto source = open();
  EXPECT_EQ(source->class_names(), (Names{"a", "b"}));
  EXPECT_EQ(source->labels(), (Ids{1, 1, 0}));
}

// ILSVRC: a tar of one tar for each class; a flat tar for validation, its labels in a list.
TEST_F(TarSource, TarOfTars) {
  const std::string cats = tar_file("n2_1.png", Folder::png(1)) + tar_end();
  const std::string ants =
      tar_file("n1_7.png", Folder::png(2)) + tar_file("n1_9.png", Folder::png(3)) + tar_end();
  folder_.write("ILSVRC2012_img_train.tar",
                tar_file("n2.tar", cats) + tar_file("n1.tar", ants) + tar_end());
  folder_.write("ILSVRC2012_img_train_t3.tar",
                tar_file("n1.tar", ants));  // not to be counted twice
  folder_.write("ILSVRC2012_img_val.tar", tar_file("v1.png", Folder::png(4)) +
                                              tar_file("v2.png", Folder::png(5)) + tar_end());
  const auto train = open();
  EXPECT_EQ(train->class_names(), (Names{"n1", "n2"}));
  EXPECT_EQ(train->labels(), (Ids{1, 0, 0}));
  EXPECT_EQ(names_in(*train, folder_)[1], "ILSVRC2012_img_train.tar/n1.tar/n1_7.png");
  for (std::int64_t i = 0; i < 3; ++i) EXPECT_EQ(red_of(*train, i), i + 1);

  EXPECT_EQ(open("", "val")->labels(), (Ids{-1, -1}));
  for (const char* list : {"v2.png n2\nv1.png n1\n", "val/v1.png 0\nval/v2.png 1\n"}) {
    folder_.write("val.txt", list);
    const auto val = open("", "val");
    val->use_classes_of(*train);
    EXPECT_EQ(val->labels(), (Ids{0, 1}));
    EXPECT_EQ(open("ILSVRC2012_img_train.tar", "val", DataFormat::tar)->size(), 2);
  }
}

// Equal file names in several folders are told apart by their paths, and never guessed.
TEST_F(TarSource, ListBesideAnArchive) {
  folder_.write("val.tar", tar_file("a/1.png", Folder::png(1)) +
                               tar_file("b/1.png", Folder::png(2)) +
                               tar_file("b/2.png", Folder::png(3)));
  folder_.write("val.txt", "b/1.png,7\na/1.png,6\nx/2.png,5\nx/2.png,4\nx/3.png,1\n");
  const auto whole = open("", "val");
  EXPECT_EQ(whole->labels(), (Ids{6, 7, 5}));
  const std::string lost = describe(whole->left_out(), LeftOut::Weight::lost);
  EXPECT_NE(lost.find("line 4: x/2.png"), std::string::npos) << lost;
  EXPECT_NE(describe(whole->left_out(), LeftOut::Weight::told).find("that name no image here: 1"),
            std::string::npos);
  folder_.write("val.txt", "x/1.png 7\ny/1.png 6\nz/2.png 5\n");
  EXPECT_EQ(open("", "val")->labels(), (Ids{-1, -1, 5}));
}

// Of images beside inner archives and in them, and of links between them.
TEST_F(TarSource, MixedArchiveKeepsItsOrder) {
  folder_.write("mixed.tar", tar_file("a.png", Folder::png(1)) +
                                 tar_file("n1.tar", tar_file("b.png", Folder::png(2))) +
                                 tar_file("c.png", Folder::png(3)));
  const auto source = open("mixed.tar");
  for (std::int64_t i = 0; i < 3; ++i) EXPECT_EQ(red_of(*source, i), i + 1);
  EXPECT_EQ(source->class_names(), Names{"n1"});
}

TEST_F(TarSource, KeysAndCountsAreKept) {
  folder_.write("s-train.tar", tar_file("0.depth.png", Folder::png(1)) +
                                   tar_file("0.png", Folder::png(2)) + tar_file("0.cls", "4") +
                                   tar_file("0.fine.txt", "2") + tar_file("1.exr", "x") +
                                   tar_file("1.cls", "3"));
  folder_.write("s-val.tar", tar_file("0.png", Folder::png(5)));
  folder_.image("docs/figure.png");
  DataFormat keys;
  keys.image_key = "depth.png";
  keys.label_key = "fine.txt";
  // Each choice finds the index of the other, and must not believe it; the same finds its own.
  for (int round = 0; round < 2; ++round) {
    for (int again = 0; again < 2; ++again) {
      const auto source = open();
      EXPECT_EQ(red_of(*source, 0), 2);
      EXPECT_EQ(source->labels(), Ids{4});
      ASSERT_EQ(source->left_out().size(), 3u);
      EXPECT_NE(describe(source->left_out(), LeftOut::Weight::lost).find("s-train.tar/1.exr"),
                std::string::npos);
    }
    const auto chosen = open("", "train", keys);
    EXPECT_EQ(red_of(*chosen, 0), 1);
    EXPECT_EQ(chosen->labels(), Ids{2});
  }
}

TEST_F(TarSource, SplitsInAnySpelling) {
  for (const char* name : {"x-Training-0.tar", "x-testing-0.tar", "extra.tar"})
    folder_.write(name, tar_file("0.png", Folder::png(1)) + tar_file("0.cls", "0"));
  EXPECT_EQ(names_in(*open(), folder_), Names{"x-Training-0.tar/0.png"});
  EXPECT_EQ(names_in(*open("", "val"), folder_), Names{"x-testing-0.tar/0.png"});
}

// A folder of images stays one, whatever archives lie in it.
TEST_F(TarSource, ArchivesBesideImagesAreLeftAlone) {
  folder_.image("cat/1.png");
  folder_.write("original.tar", tar_file("2.png", Folder::png(4)));
  EXPECT_EQ(names_in(*open(), folder_), Names{"cat/1.png"});
  EXPECT_EQ(names_in(*open("", "train", DataFormat::tar), folder_), Names{"original.tar/2.png"});
}

// The index must never outlive what it describes.
TEST_F(TarSource, IndexFollowsTheShards) {
  folder_.write("s-0.tar", tar_file("a.png", Folder::png(1)));
  folder_.write("s-1.tar", tar_file("b.png", Folder::png(2)));
  open();
  ASSERT_TRUE(std::filesystem::exists(folder_.path(".s-0.tar.sgindex")));
  const auto age = std::filesystem::last_write_time(folder_.path(".s-0.tar.sgindex"));
  EXPECT_EQ(names_in(*open(), folder_), (Names{"s-0.tar/a.png", "s-1.tar/b.png"}));
  EXPECT_EQ(std::filesystem::last_write_time(folder_.path(".s-0.tar.sgindex")), age);

  folder_.write("s-1.tar", tar_file("c.png", Folder::png(3)));  // as large as before
  std::filesystem::last_write_time(
      folder_.path("s-1.tar"),
      std::filesystem::file_time_type::clock::now() + std::chrono::hours(1));
  const auto changed = open();
  EXPECT_EQ(names_in(*changed, folder_), (Names{"s-0.tar/a.png", "s-1.tar/c.png"}));
  EXPECT_EQ(red_of(*changed, 1), 3);
  folder_.write("s-2.tar", tar_file("d.png", Folder::png(4)));
  EXPECT_EQ(open()->size(), 3);

  std::string index = read_text(folder_.path(".s-0.tar.sgindex"));
  index[index.size() / 2] ^= 1;
  folder_.write(".s-0.tar.sgindex", index);
  EXPECT_EQ(open()->size(), 3);
}

// Shuffling reads any image of any shard; the order of opening must not matter.
TEST_F(TarSource, MoreShardsThanAreHeldOpen) {
  std::string pattern = "s-{000..139}.tar";
  for (int i = 0; i < 140; ++i) {
    char name[16];
    std::snprintf(name, sizeof name, "s-%03d.tar", i);
    folder_.touch(name);
    std::ofstream(folder_.path(name)) << tar_file("a.png", Folder::png(i, 1, 1));
  }
  const auto source = open(pattern);
  for (const std::int64_t step : {1, 37, 139})
    for (std::int64_t k = 0; k < 140; ++k)
      EXPECT_EQ(red_of(*source, k * step % 140), k * step % 140);
}

TEST_F(TarSource, HostileArchives) {
  folder_.write("up.tar", tar_file("../../etc/1.png", Folder::png(7)) + tar_end());
  const auto source = open("up.tar");
  EXPECT_EQ(red_of(*source, 0), 7);  // a name, not a path
  folder_.write("cut.tar", tar_file("1.png", Folder::png(7)).substr(0, 540));
  EXPECT_NE(data_error("cut.tar").find("cut.tar: truncated"), std::string::npos);
  folder_.write("text.tar", std::string(1000, 'x'));
  EXPECT_NE(data_error("text.tar").find("not a tar archive"), std::string::npos);
  folder_.write("empty.tar", tar_end());
  EXPECT_NE(data_error("empty.tar").find("no image in"), std::string::npos);
  folder_.write("inner.tar", tar_file("n1.tar", tar_file("1.png", Folder::png(7)).substr(0, 540)));
  EXPECT_NE(data_error("inner.tar").find("truncated"), std::string::npos);
  // Deep JSON must not exhaust the stack.
  folder_.write("deep.tar",
                tar_file("1.json", std::string(500'000, '[')) + tar_file("1.png", Folder::png(7)));
  EXPECT_EQ(open("deep.tar")->labels(), Ids{-1});
}

}  // namespace
}  // namespace sgmae
