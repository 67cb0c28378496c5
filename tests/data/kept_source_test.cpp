// Oracle: the source itself.
#include "sgmae/data/kept_source.h"

#include <gtest/gtest.h>

#include <thread>

#include "folder.h"
#include "tests/image/golden.h"

namespace sgmae {
namespace {

std::unique_ptr<Source> all_kinds() {
  std::vector<std::string> files;
  for (const auto& entry : golden("decode")) files.push_back(golden_path(entry["file"]));
  return open_files(files);
}

std::vector<std::uint8_t> pixels_of(const ImageView& view) {
  std::vector<std::uint8_t> pixels;
  for (int y = 0; y < view.height; ++y)
    pixels.insert(pixels.end(), view.row(y), view.row(y) + view.width * view.channels);
  return pixels;
}

TEST(KeptSource, PixelsAreTheSame) {
  const auto plain = all_kinds();
  const auto kept = keep_decoded(all_kinds(), 1 << 30);
  ASSERT_EQ(kept->size(), plain->size());
  EXPECT_EQ(kept->digest(), plain->digest());
  OpenedImage expected, opened;
  Image a, b;
  for (int pass = 0; pass < 2; ++pass)
    for (std::int64_t i = 0; i < plain->size(); ++i) {
      plain->open(i, expected);
      kept->open(i, opened);
      ASSERT_EQ(opened.size, expected.size) << plain->name(i);
      EXPECT_NE(opened.raw.data, nullptr);
      const ImageSize size = opened.size;
      const CropBox part{size.width / 3, size.height / 4, (size.width + 1) / 2,
                         (size.height + 2) / 3};
      for (const int channels : {1, 3})
        for (const CropBox& region : {whole(size), part})
          EXPECT_EQ(pixels_of(decode(opened, region, channels, a)),
                    pixels_of(decode(expected, region, channels, b)))
              << plain->name(i) << " " << channels;
    }
}

TEST(KeptSource, KeepsAsManyAsFit) {
  const Folder folder;
  for (int i = 0; i < 5; ++i) folder.image(str(i, ".png"), i, 10, 10);
  folder.image("damaged.jpg", 0);
  folder.write("damaged.jpg", "\xff\xd8\xff and no more");
  const auto kept = keep_decoded(open_source(folder.path()), 3 * 300 + 299);
  EXPECT_EQ(decoded_bytes(*open_source(folder.path())), 6 * 300);
  EXPECT_EQ(kept_bytes(*kept), 3 * 300 + 299);
  EXPECT_EQ(kept_bytes(*keep_decoded(open_source(folder.path()), 1 << 20)), 6 * 300);
  EXPECT_EQ(kept_bytes(*open_source(folder.path())), 0);
  OpenedImage opened;
  for (int pass = 0; pass < 2; ++pass) {
    int raw = 0;
    for (std::int64_t i = 0; i < 5; ++i) {
      kept->open(i, opened);
      raw += opened.raw.data != nullptr;
      EXPECT_EQ(red_of(*kept, i), i);
    }
    EXPECT_EQ(raw, 3);
    error_of(ExitCode::data, [&] { kept->open(5, opened); });
  }
}

TEST(KeptSource, SeveralThreads) {
  const Folder folder;
  for (int i = 0; i < 50; ++i) folder.image(str("i", 100 + i, ".png"), i);
  const auto kept = keep_decoded(open_source(folder.path()), 1 << 20);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (std::int64_t i = 0; i < 50; ++i) EXPECT_EQ(red_of(*kept, i), i);
    });
  for (std::thread& thread : threads) thread.join();
}

TEST(KeptSource, OptionsDecide) {
  const Folder folder;
  for (int i = 0; i < 4; ++i) folder.image(str(i, ".png"), i, 600, 600);  // 4.1 MB in all
  DataOptions options;
  const auto keeps = [&](std::int64_t epochs = 2) {
    const auto source = keep_decoded(open_source(folder.path()), options, epochs);
    int raw = 0;
    OpenedImage opened;
    for (std::int64_t i = 0; i < 4; ++i) {
      source->open(i, opened);
      raw += opened.raw.data != nullptr;
    }
    return raw;
  };
  EXPECT_EQ(keeps(), 4);
  EXPECT_EQ(keeps(1), 0);
  options.cache_mb = 3;
  EXPECT_EQ(keeps(), 0);  // auto: all or none
  options.cache_decoded = DataOptions::Keep::yes;
  EXPECT_EQ(keeps(), 2);
  options.cache_mb = 5;
  EXPECT_EQ(keeps(), 4);
  options.cache_decoded = DataOptions::Keep::no;
  EXPECT_EQ(keeps(), 0);
}

}  // namespace
}  // namespace sgmae
