// Oracle: the format's description (LeCun's MNIST page), written out by hand.
#include <gtest/gtest.h>
#include <zlib.h>

#include "folder.h"
#include "sgmae/data/idx.h"

namespace sgmae {
namespace {

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

// 2^32 - 1 values a dimension, and dimensions whose product wraps around 2^64.
TEST(ReadIdx, HeadersThatPromiseTooMuch) {
  const std::string bytes = idx({0xffffffff, 0xffffffff, 0xffffffff}, {});
  std::size_t at = 0;
  const ReadNext read = [&](std::span<std::uint8_t> out) {
    const std::size_t count = std::min(out.size(), bytes.size() - at);
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), count, out.begin());
    at += count;
    return count;
  };
  EXPECT_EQ(error_of(ExitCode::data, [&] { read_idx(read, 3, "x"); }),
            "x has a dimension of 4294967295 in its header; it is damaged");
}

}  // namespace
}  // namespace sgmae
