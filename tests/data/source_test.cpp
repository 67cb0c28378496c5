// Oracle: the layouts themselves.
#include "sgmae/data/source.h"

#include <gtest/gtest.h>

#include <cmath>

#include "folder.h"

namespace sgmae {
namespace {

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

TEST(OpenSource, StrayFoldersBesideTheParts) {
  Folder folder;
  folder.image("Train/cat/1.png");
  folder.image("Train/dog/2.png");
  folder.image("Test/dog/3.png");
  folder.image("docs/figure1.png");
  EXPECT_EQ(open_source(folder.path())->class_names(), (Names{"cat", "dog"}));
  EXPECT_EQ(names_in(*open_source(folder.path(), "val"), folder), Names{"Test/dog/3.png"});
}

TEST(OpenSource, AnEvaluationPartAlone) {
  Folder folder;
  folder.image("val/cat/1.png");
  EXPECT_EQ(open_source(folder.path(), "val")->class_names(), Names{"cat"});
  const auto why = error_of(ExitCode::data, [&] { open_source(folder.path()); });
  EXPECT_NE(why.find("no part for training (train/), only val/"), std::string::npos) << why;
}

TEST(OpenSource, NamesContainersThatAreNotRead) {
  Folder folder;
  folder.write("a.zip", "PK\3\4");
  folder.write("b.parquet", "PAR1");
  folder.write("c.tar", "\x1f\x8b" + std::string(30, 'x'));
  folder.write("c-{0}.tar.gz", "\x1f\x8b" + std::string(30, 'x'));
  const auto why = [&](const std::string& name) {
    return error_of(ExitCode::data, [&] { open_source(folder.path(name)); });
  };
  EXPECT_NE(why("a.zip").find("unzip"), std::string::npos);
  EXPECT_NE(why("b.parquet").find("Parquet"), std::string::npos);
  EXPECT_NE(why("c.tar").find("gzip"), std::string::npos);
  EXPECT_NE(why("c-{0}.tar.gz").find("gzip"), std::string::npos);
  EXPECT_NE(error_of(ExitCode::data, [] { open_source("https://x.org/a.tar"); }).find("download"),
            std::string::npos);
}

TEST(OpenSource, KeysThatNothingHeeds) {
  Folder folder;
  folder.image("cat/1.png");
  DataFormat format;
  format.label_key = "species";
  const auto why =
      error_of(ExitCode::usage, [&] { open_source(folder.path(), "train", "", format); });
  EXPECT_NE(why.find("--label_key"), std::string::npos) << why;
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

// A changed size, name or order shows; another place of the whole data set does not.
TEST(Source, DigestTellsDataSetsApart) {
  Folder folder;
  for (int i = 0; i < 300; ++i) folder.write(str("a/cat/", i, ".png"), std::string(1 + i % 7, 'x'));
  folder.write("a/dog/1.png", "yyy");
  const auto digest = [&](const std::string& path) {
    return open_source(folder.path(path))->digest();
  };
  const auto source = open_source(folder.path("a"));
  const std::uint64_t before = source->digest();
  EXPECT_EQ(digest("a"), before);
  EXPECT_EQ(digest("a/../a/"), before);
  std::filesystem::rename(folder.path("a"), folder.path("b"));
  EXPECT_EQ(digest("b"), before);
  EXPECT_EQ(source->digest(), before);  // kept
  folder.write("b/dog/1.png", "yyyy");
  EXPECT_NE(digest("b"), before);
  folder.write("b/dog/1.png", "yyy");
  EXPECT_EQ(digest("b"), before);
  std::filesystem::rename(folder.path("b/dog/1.png"), folder.path("b/dog/2.png"));
  EXPECT_NE(digest("b"), before);

  folder.write("list.txt", "b/cat/1.png\nb/cat/2.png\ngone.png\n");
  folder.write("turned.txt", "b/cat/2.png\nb/cat/1.png\ngone.png\n");
  EXPECT_NE(digest("list.txt"), digest("turned.txt"));
}

TEST(Source, DigestOfPixelsInMemory) {
  Folder folder;
  const auto digest = [&](const std::string& pixels) {
    folder.write("train-images-idx3-ubyte",
                 std::string("\0\0\10\3\0\0\0\2\0\0\0\1\0\0\0\2", 16) + pixels);
    return open_source(folder.path())->digest();
  };
  EXPECT_EQ(digest("abcd"), digest("abcd"));
  EXPECT_NE(digest("abcd"), digest("abce"));
}

DataFormat with_values(DataFormat::Values values) {
  DataFormat format;
  format.values = values;
  return format;
}

std::string golden_bands(const std::string& file) {
  return read_text(std::string(SGMAE_TEST_DATA) + "/bands/" + file);
}

TEST(OpenSource, ValuesAsStoredWhereImagesAskForThem) {
  Folder folder;
  folder.write("a/1.tif", golden_bands("u16_13_deflate.tif"));
  folder.image("a/2.png");
  folder.write("b/3.tif", golden_bands("u16_13_planes_lzw.tif"));
  const auto source = open_source(folder.path());
  ASSERT_TRUE(source->stored_values());
  EXPECT_EQ(source->native_channels(), 13);
  EXPECT_FALSE(
      open_source(folder.path(), "train", "", with_values(DataFormat::eight_bit))->stored_values());
  folder.image("b/4.png");  // now most are ordinary
  folder.image("b/5.png");
  EXPECT_FALSE(open_source(folder.path())->stored_values());
  EXPECT_EQ(open_source(folder.path())->native_channels(), 3);
}

// 16-bit PNG is read as ever, and kept by option.
TEST(OpenSource, SixteenBitPngByOption) {
  Folder folder;
  folder.write("1.png", golden_bands("u16_1.png"));
  EXPECT_FALSE(open_source(folder.path())->stored_values());
  const auto source = open_source(folder.path(), "train", "", with_values(DataFormat::as_stored));
  EXPECT_EQ(source->native_channels(), 1);
  OpenedImage opened;
  source->open(0, opened);
  Bands bands;
  decode_bands(opened, {1, 0, 1, 1}, 1, bands);
  EXPECT_EQ(bands.values[0], 7932);
}

TEST(OpenSource, ArraysCountWhereThereIsNothingElse) {
  Folder folder;
  folder.write("train/a/1.npy", golden_bands("u16_hwc.npy"));
  folder.write("train/b/2.npz", golden_bands("compressed.npz"));
  folder.write("val/a/3.npy", golden_bands("u16_chw.npy"));
  const auto source = open_source(folder.path());
  EXPECT_EQ(source->size(), 2);
  EXPECT_EQ(source->class_names(), (Names{"a", "b"}));
  EXPECT_EQ(source->native_channels(), 3);
  EXPECT_EQ(open_source(folder.path(), "val")->size(), 1);
  OpenedImage opened;
  source->open(1, opened);
  EXPECT_EQ(opened.size, (ImageSize{7, 5}));
  EXPECT_NE(error_of(ExitCode::data,
                     [&] {
                       Image buffer;
                       decode(opened, whole(opened.size), 3, buffer);
                     })
                .find("--values stored"),
            std::string::npos);
  folder.image("train/a/4.png");  // beside images they are made of these
  EXPECT_EQ(names_in(*open_source(folder.path()), folder), Names{"train/a/4.png"});
}

// Each image's own, where nobody says what stands for no data.
TEST(OpenSource, NoDataIsWhatTheTagOfAnImageSays) {
  Folder folder;
  const std::string image = golden_bands("i16_3_nodata.tif");
  std::string other = image;
  other.replace(other.find("-29987"), 6, "-22068");
  folder.write("1.tif", image);
  folder.write("2.tif", other);
  folder.write("3.tif", golden_bands("i16_3.tif"));
  const auto missing = [&](const Source& source, std::int64_t index) {
    OpenedImage opened;
    source.open(index, opened);
    Bands bands;
    decode_bands(opened, whole(opened.size), 3, bands);
    std::vector<std::size_t> at;
    for (std::size_t i = 0; i < bands.values.size(); ++i)
      if (std::isnan(bands.values[i])) at.push_back(i);
    return at;
  };
  using Places = std::vector<std::size_t>;
  DataFormat format;
  for (const Pages pages : {Pages::first, Pages::channels, Pages::images}) {
    format.stored.pages = pages;
    const auto source = open_source(folder.path(), "train", "", format);
    EXPECT_EQ(missing(*source, 0), Places{0});
    EXPECT_EQ(missing(*source, 1), Places{1});
    EXPECT_EQ(missing(*source, 2), Places{});
    EXPECT_EQ(source->stored_values()->nodata, std::nullopt);
  }
  format.nodata = "7";
  EXPECT_EQ(missing(*open_source(folder.path(), "train", "", format), 0), Places{});
}

// What a model was trained with goes before what is said later, and survives being written as
// options.
TEST(OpenSource, ReadsAsAModelsImagesWere) {
  Folder folder;
  folder.write("1.npy", golden_bands("u16_hwc.npy"));
  DataFormat said;
  said.nodata = "7";
  StoredValues trained;
  trained.nodata = -0.1;
  trained.picture = {3, 1, 2};
  DataFormat format = said.read_as({{}, {}, trained}), again;
  Options options, reread;
  options.section("data");
  declare_data_format(options, format);
  reread.section("data");
  declare_data_format(reread, again);
  reread.load_toml(options.to_toml(), "the model");
  for (const DataFormat& how : {format, again})
    EXPECT_EQ(open_source(folder.path(), "train", "", how)->stored_values(), trained);
}

TEST(OpenSource, ValuesThatDoNotFit) {
  Folder folder;
  folder.write("1.npy", golden_bands("u16_hwc.npy"));
  const auto why = [&](const DataFormat& format, ExitCode code = ExitCode::usage) {
    return error_of(code, [&] { open_source(folder.path(), "train", "", format); });
  };
  DataFormat format;
  format.nodata = "none";
  EXPECT_NE(why(format).find("nodata is 'none'"), std::string::npos);
  format.nodata = "-9999";
  format.picture_bands = "4,2,1";
  EXPECT_NE(why(format).find("channels 1 to 3"), std::string::npos);
  format.picture_bands = "1,2";
  EXPECT_NE(why(format).find("name three channels"), std::string::npos);
  format.picture_bands = "3,2,1";
  const auto source = open_source(folder.path(), "train", "", format);
  EXPECT_EQ(source->stored_values()->nodata, -9999);
  EXPECT_EQ(source->stored_values()->picture, (std::vector<int>{3, 2, 1}));
  folder.write("1.npy", "no array");
  EXPECT_NE(why(with_values(DataFormat::as_stored), ExitCode::data).find("1.npy"),
            std::string::npos);
}

}  // namespace
}  // namespace sgmae
