// Oracles: a pack written in one go, for one that was resumed; our decoder and Resizer, held
// against Pillow elsewhere, for scaled images.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "folder.h"
#include "sgmae/data/pack.h"
#include "sgmae/image/resize.h"

namespace sgmae {
namespace {

TEST(WritePack, ResumesWhereverItWasKilled) {
  Folder folder;
  for (int i = 0; i < 4; ++i) folder.image(str("set/", i % 2, "/", i, ".png"), i);
  folder.write("set/0/bad.png", "no image");
  const auto source = open_source(folder.path("set"));
  const PackReport whole = write_pack(*source, folder.path("whole.sgpack"), {});
  EXPECT_EQ(whole.images, 4);
  EXPECT_EQ(whole.resumed, 0);
  ASSERT_EQ(whole.left_out.size(), 1u);
  EXPECT_NE(whole.left_out[0].find("bad.png: not an image"), std::string::npos);
  const std::string expected = read_text(folder.path("whole.sgpack"));
  EXPECT_EQ(whole.bytes, expected.size());

  // A killed run leaves any beginning of the file.
  std::set<std::int64_t> resumed;
  for (std::size_t length = 0; length <= expected.size(); length += 7) {
    const std::string part = expected.substr(0, length);
    std::ofstream(folder.path("again.sgpack.part")) << part;
    const PackReport again = write_pack(*source, folder.path("again.sgpack"), {});
    EXPECT_EQ(read_text(folder.path("again.sgpack")), expected) << length;
    EXPECT_EQ(again.left_out.size(), 1u);
    EXPECT_FALSE(std::filesystem::exists(folder.path("again.sgpack.part")));
    resumed.insert(again.resumed);
    std::filesystem::remove(folder.path("again.sgpack"));
  }
  EXPECT_EQ(resumed, (std::set<std::int64_t>{0, 1, 2, 3, 4, 5}));

  // Bytes lost in the middle, as after a power failure: packing goes on before them.
  std::string holed = expected;
  std::fill_n(holed.begin() + 80, 20, '\0');
  std::ofstream(folder.path("again.sgpack.part")) << holed;
  EXPECT_EQ(write_pack(*source, folder.path("again.sgpack"), {}).resumed, 0);
  EXPECT_EQ(read_text(folder.path("again.sgpack")), expected);
}

// What was begun with other options or another data set is not gone on with.
TEST(WritePack, BeginsAnewForAnotherTask) {
  Folder folder;
  folder.image("set/a.png", 1);
  folder.image("set/b.png", 2);
  folder.image("other/a.png", 3);
  const auto source = open_source(folder.path("set")), other = open_source(folder.path("other"));
  write_pack(*source, folder.path("p.sgpack"), {});
  const auto begun = [&] {
    std::filesystem::rename(folder.path("p.sgpack"), folder.path("p.sgpack.part"));
  };
  begun();
  EXPECT_EQ(write_pack(*source, folder.path("p.sgpack"), {.max_side = 6}).resumed, 0);
  begun();
  EXPECT_EQ(write_pack(*other, folder.path("p.sgpack"), {}).resumed, 0);
  EXPECT_EQ(red_of(*open_source(folder.path("p.sgpack")), 0), 3);
}

TEST(WritePack, ScalesToTheLongerSide) {
  Folder folder;
  folder.image("set/wide.png", 40, 30, 20);
  folder.image("set/tall.png", 40, 8, 16);
  folder.image("set/thin.png", 40, 300, 1);
  folder.image("set/fits.png", 40, 15, 15);
  const auto source = open_source(folder.path("set"));
  const PackReport report =
      write_pack(*source, folder.path("p.sgpack"), {.max_side = 15, .quality = 100});
  EXPECT_EQ(report.scaled, 3);
  const auto pack = open_source(folder.path("p.sgpack"));
  const std::vector<ImageSize> sizes{{15, 15}, {8, 15}, {15, 1}, {15, 10}};  // by name
  for (std::int64_t i = 0; i < 4; ++i) {
    OpenedImage opened, original;
    pack->open(i, opened);
    source->open(i, original);
    EXPECT_EQ(opened.size, sizes[static_cast<std::size_t>(i)]);
    EXPECT_EQ(opened.info.format, i == 0 ? ImageFormat::png : ImageFormat::jpeg);
    // The blue channel of these smooth images, scaled; chroma at half resolution moves it a little.
    Image buffer, packed;
    const Image expected = resize(decode(original, whole(original.size), 3, buffer), opened.size);
    const ImageView got = decode(opened, whole(opened.size), 3, packed);
    double error = 0;
    for (int y = 0; y < got.height; ++y)
      for (int x = 0; x < got.width * 3; ++x)
        error += std::abs(got.row(y)[x] - view(expected).row(y)[x]);
    EXPECT_LT(error / (got.width * got.height * 3), 12) << i;
  }
}

// Pixels that have no file become lossless ones; grey stays grey.
TEST(WritePack, RawPixelsAndGrey) {
  Folder folder;
  folder.write("train-images-idx3-ubyte", idx({2, 2, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}));
  folder.write("train-labels-idx1-ubyte", idx({2}, {1, 0}));
  write_pack(*open_source(folder.path()), folder.path("mnist.sgpack"), {});
  const auto pack = open_source(folder.path("mnist.sgpack"));
  EXPECT_EQ(pack->native_channels(), 1);
  EXPECT_EQ(pack->labels(), (Ids{1, 0}));
  EXPECT_EQ(names_in(*pack, folder)[1], "mnist.sgpack/train-images-idx3-ubyte#1");
  OpenedImage opened;
  pack->open(1, opened);
  Image buffer;
  EXPECT_EQ(decode(opened, whole(opened.size), 1, buffer).row(1)[2], 12);
  EXPECT_EQ(opened.info.channels, 1);
}

TEST(WritePack, Refuses) {
  Folder folder;
  folder.image("set/a.png", 1);
  folder.write("bad/a.png", "x");
  const auto source = open_source(folder.path("set")), bad = open_source(folder.path("bad"));
  const auto usage = [&](const std::string& path, const PackOptions& options) {
    return error_of(ExitCode::usage, [&] { write_pack(*source, folder.path(path), options); });
  };
  folder.touch("there.sgpack");
  EXPECT_NE(usage("there.sgpack", {}).find("exists already"), std::string::npos);
  EXPECT_NE(usage("nowhere/p.sgpack", {}).find("No such file"), std::string::npos);
  EXPECT_NE(usage("p.sgpack", {.quality = 0}).find("quality"), std::string::npos);
  EXPECT_NE(usage("p.sgpack", {.max_side = -1}).find("max_side"), std::string::npos);
  EXPECT_NE(error_of(ExitCode::data, [&] { write_pack(*bad, folder.path("p.sgpack"), {}); })
                .find("none of the 1 images can be read"),
            std::string::npos);
}

}  // namespace
}  // namespace sgmae
