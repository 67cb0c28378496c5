// Oracle: a TIFF of four pages that tifffile wrote (tests/golden/bands.py).
#include <gtest/gtest.h>

#include "tests/data/folder.h"

namespace sgmae {
namespace {

std::string pages_tif() {
  return read_text(std::string(SGMAE_TEST_DATA) + "/bands/u16_pages.tif");
}

DataFormat with_pages(Pages pages) {
  DataFormat format;
  format.stored.pages = pages;
  return format;
}

TEST(Pages, AnImageEach) {
  Folder folder;
  folder.write("cat/1.tif", pages_tif());
  folder.image("dog/2.png", 9);
  const auto first = open_source(folder.path());
  EXPECT_EQ(first->size(), 2);
  const auto pages = open_source(folder.path(), "train", "", with_pages(Pages::images));
  EXPECT_EQ(names_in(*pages, folder),
            (Names{"cat/1.tif#1", "cat/1.tif#2", "cat/1.tif#3", "cat/1.tif#4", "dog/2.png"}));
  EXPECT_EQ(pages->labels(), (Ids{0, 0, 0, 0, 1}));
  EXPECT_EQ(pages->class_names(), (Names{"cat", "dog"}));
  EXPECT_EQ(red_of(*pages, 4), 9);
  EXPECT_NE(pages->digest(), first->digest());
  // Three are 16-bit grey, and two channels of the fourth are no 8-bit pixels.
  EXPECT_EQ(red_of(*pages, 1), 255);
  EXPECT_THROW(red_of(*pages, 3), Error);
}

TEST(Pages, ChannelsOfOneImage) {
  Folder folder;
  folder.write("1.tif", pages_tif());
  const auto source = open_source(folder.path(), "train", "", with_pages(Pages::channels));
  ASSERT_TRUE(source->stored_values());
  EXPECT_EQ(source->native_channels(), 5);
  OpenedImage opened;
  source->open(0, opened);
  Bands bands;
  decode_bands(opened, {0, 0, 1, 1}, 5, bands);
  for (int c = 0; c < 5; ++c)
    EXPECT_EQ(bands.values[static_cast<std::size_t>(c)], (7919 * c + 13) % 60000);
}

}  // namespace
}  // namespace sgmae
