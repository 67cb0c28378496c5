// Oracle: the layouts themselves; order and class ids as torchvision's ImageFolder documents them.
#include "sgmae/data/source.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include "folder.h"

namespace sgmae {
namespace {

using Ids = std::vector<std::int64_t>;
using Names = std::vector<std::string>;

Names names_in(const Source& source, const Folder& folder) {
  Names names;
  for (std::int64_t i = 0; i < source.size(); ++i)
    names.push_back(std::filesystem::relative(source.name(i), folder.path()).string());
  return names;
}

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

TEST(OpenSource, SplitFolders) {
  Folder folder;
  folder.image("train/cat/1.png");
  folder.image("train/dog/2.png");
  folder.image("val/dog/3.png");
  const auto train = open_source(folder.path());
  EXPECT_EQ(names_in(*train, folder), (Names{"train/cat/1.png", "train/dog/2.png"}));
  for (const char* split : {"val", "test"}) {
    const auto val = open_source(folder.path(), split);
    EXPECT_EQ(names_in(*val, folder), (Names{"val/dog/3.png"}));
    EXPECT_EQ(val->labels(), (Ids{0}));
    val->use_classes_of(*train);
    EXPECT_EQ(val->labels(), (Ids{1}));
    EXPECT_EQ(val->class_names(), train->class_names());
  }
}

TEST(OpenSource, ClassesThatTrainingLacks) {
  Folder folder;
  folder.image("train/cat/1.png");
  folder.image("val/cow/3.png");
  const auto train = open_source(folder.path()), val = open_source(folder.path(), "val");
  EXPECT_NE(error_of(ExitCode::data, [&] { val->use_classes_of(*train); }).find("'cow'"),
            std::string::npos);
}

// CIFAR-100 has a class of that name.
TEST(OpenSource, AClassCalledTrain) {
  Folder folder;
  folder.image("bus/1.png");
  folder.image("train/2.png");
  EXPECT_EQ(open_source(folder.path())->class_names(), (Names{"bus", "train"}));
}

TEST(OpenSource, LinksDoNotLoop) {
  Folder folder;
  folder.image("cat/1.png");
  std::filesystem::create_directory_symlink(folder.path(), folder.path("cat/loop"));
  std::filesystem::create_directory_symlink(folder.path("dog"), folder.path("dog"));
  std::filesystem::create_symlink(folder.path("cat/1.png"), folder.path("cat/2.png"));
  EXPECT_EQ(names_in(*open_source(folder.path()), folder).size(), 2u);
}

TEST(OpenSource, ListWithoutLabels) {
  Folder folder;
  folder.image("images/cat/my photo.png");
  folder.image("images/bee/2.png");
  folder.write("train.txt", "cat/my photo.png\r\n\n  bee/2.png  \n");
  folder.write("test.txt", "bee/2.png");
  for (const std::string& path : {folder.path("train.txt"), folder.path()}) {
    const auto source = open_source(path);
    EXPECT_EQ(names_in(*source, folder), (Names{"images/cat/my photo.png", "images/bee/2.png"}));
    EXPECT_EQ(source->labels(), (Ids{1, 0}));
    EXPECT_EQ(source->class_names(), (Names{"bee", "cat"}));
    EXPECT_EQ(open_source(path, "val")->labels(), (Ids{0}));
  }
}

TEST(OpenSource, ListWithLabels) {
  Folder folder;
  folder.image("a b.png");
  folder.image("c.png");
  folder.write("numbers.txt", "a b.png 3\nc.png\t0\n");
  const auto numbers = open_source(folder.path("numbers.txt"));
  EXPECT_EQ(numbers->labels(), (Ids{3, 0}));
  EXPECT_EQ(numbers->class_names(), (Names{"0", "1", "2", "3"}));
  folder.write("words.txt", "a b.png wasp\nc.png ant\n");
  const auto words = open_source(folder.path("words.txt"));
  EXPECT_EQ(names_in(*words, folder), (Names{"a b.png", "c.png"}));
  EXPECT_EQ(words->labels(), (Ids{1, 0}));
}

TEST(OpenSource, ListWithRoot) {
  Folder folder;
  folder.image("elsewhere/x/1.png");
  folder.write("lists/all.txt", "x/1.png\n");
  const auto why = error_of(ExitCode::data, [&] { open_source(folder.path("lists/all.txt")); });
  EXPECT_NE(why.find("--data_root"), std::string::npos);
  const auto source = open_source(folder.path("lists/all.txt"), "train", folder.path("elsewhere"));
  EXPECT_EQ(names_in(*source, folder), (Names{"elsewhere/x/1.png"}));
}

TEST(OpenSource, Idx) {
  Folder folder;
  const std::vector<std::uint8_t> pixels{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  folder.write("train-images-idx3-ubyte", idx({2, 2, 3}, pixels));
  folder.write("train-labels-idx1-ubyte", idx({2}, {4, 1}));
  const gzFile zipped = gzopen(folder.path("t10k-images-idx3-ubyte.gz").c_str(), "wb");
  const std::string test = idx({1, 2, 3}, {9, 8, 7, 6, 5, 4});
  gzwrite(zipped, test.data(), static_cast<unsigned>(test.size()));
  gzclose(zipped);

  for (const std::string& path : {folder.path(), folder.path("train-images-idx3-ubyte")}) {
    const auto source = open_source(path);
    EXPECT_EQ(source->size(), 2);
    EXPECT_EQ(source->native_channels(), 1);
    EXPECT_EQ(source->labels(), (Ids{4, 1}));
    EXPECT_EQ(source->class_names().size(), 5u);
    EXPECT_NE(source->name(1).find("train-images-idx3-ubyte#1"), std::string::npos);
    OpenedImage opened;
    source->open(1, opened);
    EXPECT_EQ(opened.size, (ImageSize{3, 2}));
    Image buffer;
    const ImageView grey = decode(opened, {1, 0, 2, 2}, 1, buffer);
    EXPECT_EQ(grey.row(0)[0], 8);
    EXPECT_EQ(grey.row(1)[1], 12);
    const ImageView colour = decode(opened, {1, 0, 2, 2}, 3, buffer);
    EXPECT_EQ(std::vector<std::uint8_t>(colour.row(1), colour.row(1) + 6),
              (std::vector<std::uint8_t>{11, 11, 11, 12, 12, 12}));
    EXPECT_EQ(open_source(path, "test")->labels(), (Ids{-1}));
  }
}

TEST(OpenSource, DamagedIdx) {
  Folder folder;
  folder.write("train-images-idx3-ubyte", idx({2, 2, 3}, {1, 2, 3}));
  const auto open = [&] { open_source(folder.path()); };
  EXPECT_NE(error_of(ExitCode::data, open).find("truncated"), std::string::npos);
  folder.write("train-images-idx3-ubyte", idx({0xffffffff, 0xffffffff, 0xffffffff}, {1}));
  EXPECT_NE(error_of(ExitCode::data, open).find("damaged"), std::string::npos);
  folder.write("train-images-idx3-ubyte", idx({1000, 1000, 1000}, {1}));
  EXPECT_NE(error_of(ExitCode::data, open).find("truncated"), std::string::npos);
  folder.write("train-images-idx3-ubyte", idx({2, 1, 1}, {1, 2}));
  folder.write("train-labels-idx1-ubyte", idx({3}, {1, 2, 3}));
  EXPECT_NE(error_of(ExitCode::data, open).find("3 labels for the 2 images"), std::string::npos);
}

TEST(OpenSource, SaysWhatIsMissing) {
  Folder folder;
  const auto data_error = [](const std::string& path, const std::string& split = "train") {
    return error_of(ExitCode::data, [&] { open_source(path, split); });
  };
  EXPECT_NE(data_error(folder.path("nowhere")).find("there is no"), std::string::npos);
  EXPECT_NE(data_error(folder.path()).find("no image in"), std::string::npos);
  folder.write("empty.txt", "\n\n");
  EXPECT_NE(data_error(folder.path("empty.txt")).find("lists no image"), std::string::npos);
  folder.write("binary.bin", std::string("\1\0\2", 3));
  EXPECT_NE(data_error(folder.path("binary.bin")).find("neither a list"), std::string::npos);
  folder.image("cat/1.png");
  EXPECT_NE(data_error(folder.path("cat/1.png")).find("single image"), std::string::npos);
  EXPECT_NE(data_error(folder.path(), "val").find("no part for 'val'"), std::string::npos);
  folder.write("huge.txt", "cat/1.png 99999999999\n");
  EXPECT_NE(data_error(folder.path("huge.txt")).find("too large"), std::string::npos);
  EXPECT_NE(error_of(ExitCode::usage, [&] { open_source(folder.path(), "trian"); }).find("trian"),
            std::string::npos);
  EXPECT_NE(error_of(ExitCode::usage, [&] { open_source(""); }).find("--data_path"),
            std::string::npos);
}

TEST(Source, UnreadableFilesAreErrorsOnOpening) {
  Folder folder;
  folder.image("good.png");
  folder.write("empty.jpg", "");
  folder.write("text.jpg", "hello");
  const auto source = open_source(folder.path());
  OpenedImage opened;
  for (const std::int64_t bad : {0, 2})
    error_of(ExitCode::data, [&] { source->open(bad, opened); });
  source->open(1, opened);
  EXPECT_EQ(opened.size, (ImageSize{12, 10}));
}

}  // namespace
}  // namespace sgmae
