// Oracle: the layout itself; order and class ids as torchvision's ImageFolder documents them.
#include <gtest/gtest.h>
#include <cstdlib>

#include "folder.h"

namespace sgmae {
namespace {

TEST(OpenSource, NestedFolders) {
  Folder folder;
  folder.image("zebra/2.png");
  folder.image("zebra/10.png");
  folder.image("ant/deep/er/x.PNG");
  folder.image("ant/b.png");
  folder.write("ant/notes.txt", "not an image");
  folder.write("ant/.hidden.jpg", "not an image");
  const auto source = open_source(folder.path());
  EXPECT_EQ(names_in(*source, folder),
            (Names{"ant/b.png", "ant/deep/er/x.PNG", "zebra/10.png", "zebra/2.png"}));
  EXPECT_EQ(source->labels(), (Ids{0, 0, 1, 1}));
  EXPECT_EQ(source->class_names(), (Names{"ant", "zebra"}));
}

TEST(OpenSource, FlatFolderIsUnlabelled) {
  Folder folder;
  folder.image("b.png");
  folder.image("a.png");
  const auto source = open_source(folder.path());
  EXPECT_EQ(names_in(*source, folder), (Names{"a.png", "b.png"}));
  EXPECT_EQ(source->labels(), (Ids{-1, -1}));
  EXPECT_TRUE(source->class_names().empty());
}

TEST(OpenSource, LinksDoNotLoop) {
  Folder folder;
  folder.image("cat/1.png");
  std::filesystem::create_directory_symlink(folder.path(), folder.path("cat/loop"));
  std::filesystem::create_directory_symlink(folder.path("dog"), folder.path("dog"));
  std::filesystem::create_symlink(folder.path("cat/1.png"), folder.path("cat/2.png"));
  EXPECT_EQ(names_in(*open_source(folder.path()), folder).size(), 2u);
}

using Weight = LeftOut::Weight;

std::int64_t count(const Source& source, const std::string& reason, Weight weight) {
  std::int64_t sum = 0;
  for (const LeftOut& entry : source.left_out())
    if (entry.weight == weight && entry.reason.find(reason) != std::string::npos)
      sum += entry.count;
  return sum;
}

TEST(OpenFolder, CountsWhatItLeavesOut) {
  Folder folder;
  folder.image("cat/1.png");
  folder.image("cat/2.jfif");
  folder.touch("dog/1.exr");
  folder.touch("dog/2.exr");
  folder.touch("cat/notes.txt");
  folder.touch("cat/clip.mp4");
  folder.image("cat/.ipynb_checkpoints/1-checkpoint.png");
  std::filesystem::create_directory_symlink(folder.path("cat"), folder.path("kitten"));
  std::filesystem::create_directory_symlink(folder.path(), folder.path("cat/loop"));
  const auto source = open_source(folder.path());
  EXPECT_EQ(source->size(), 2);
  EXPECT_EQ(count(*source, ".exr", Weight::lost), 2);
  EXPECT_EQ(count(*source, ".mp4", Weight::told), 1);
  EXPECT_EQ(count(*source, ".txt", Weight::by_rule), 1);
  EXPECT_EQ(count(*source, "hidden", Weight::by_rule), 1);
  EXPECT_EQ(count(*source, "folder above", Weight::by_rule), 1);
  EXPECT_EQ(count(*source, "a folder that is read already", Weight::lost), 1);
  EXPECT_EQ(count(*source, "without an image", Weight::told), 1);  // dog/
}

TEST(OpenFolder, NamesWhatLiesThereInPlaceOfImages) {
  const auto why = [](const std::string& name) {
    Folder folder;
    folder.touch(name);
    return error_of(ExitCode::data, [&] { open_source(folder.path()); });
  };
  EXPECT_NE(why("data/train-00000-of-00001.parquet").find("Parquet"), std::string::npos);
  EXPECT_NE(why("train-000000.tar.gz").find("gunzip"), std::string::npos);
  EXPECT_NE(why("images.zip").find("unzip"), std::string::npos);
  EXPECT_NE(why("cat/1.psd").find(".psd, which is not read: 1"), std::string::npos);
}

// The scan of a large folder is kept; what it says must follow every change of the folder.
TEST(OpenFolder, KeptScanFollowsTheFolder) {
  Folder folder;
  ::setenv("XDG_CACHE_HOME", folder.path("cache").c_str(), 1);
  constexpr int images = 2'000;  // from here on a scan is worth keeping
  for (int i = 0; i < images; ++i) folder.touch(str("data/", i % 4, "/", i, ".jpg"));
  folder.touch("data/1/x.psd");
  const auto long_ago = std::filesystem::file_time_type::clock::now() - std::chrono::hours(1);
  const auto age = [&] {
    for (const char* name : {"data", "data/0", "data/1", "data/2", "data/3"})
      std::filesystem::last_write_time(folder.path(name), long_ago);
  };
  const auto open = [&] { return open_source(folder.path("data")); };

  const auto fresh = open();  // changed a moment ago: must not be kept
  EXPECT_FALSE(std::filesystem::exists(folder.path("cache/sgmae")));
  age();
  open();
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path("cache/sgmae")), {}), 1);
  const auto again = open();
  EXPECT_EQ(names_in(*again, folder), names_in(*fresh, folder));
  EXPECT_EQ(again->labels(), fresh->labels());
  EXPECT_EQ(again->left_out(), fresh->left_out());
  EXPECT_EQ(count(*again, ".psd", Weight::lost), 1);

  folder.touch("data/2/new.jpg");
  EXPECT_EQ(open()->size(), images + 1);
  std::filesystem::remove(folder.path("data/3/3.jpg"));
  EXPECT_EQ(open()->size(), images);
  // A damaged cache is as good as none.
  age();
  open();
  for (const auto& entry : std::filesystem::directory_iterator(folder.path("cache/sgmae")))
    write_file(entry.path(), read_text(entry.path()).substr(0, 100));
  EXPECT_EQ(open()->size(), images);
}

}  // namespace
}  // namespace sgmae
