// Oracle: what must hold of letters whatever the font's shapes are, and characters counted by hand.
#include "sgmae/image/text.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <thread>
#include <vector>

namespace sgmae {
namespace {

constexpr Colour kBlack{0, 0, 0}, kWhite{255, 255, 255};

Image written(const std::string& text, int size) {
  Image canvas = blank_image({text_width(text, size) + 8, text_height(size)}, kWhite);
  write_text(canvas, text, 4, 0, size, kBlack);
  return canvas;
}

// Rows and columns that are not all white: left, top, right, bottom.
CropBox ink(const Image& image) {
  int left = image.width, top = image.height, right = 0, bottom = 0;
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width; ++x)
      if (image.pixels[static_cast<std::size_t>(y * image.width + x) * 3] < 200) {
        left = std::min(left, x), right = std::max(right, x + 1);
        top = std::min(top, y), bottom = std::max(bottom, y + 1);
      }
  return {left, top, right - left, bottom - top};
}

TEST(Text, IsAsWideAndHighAsItSays) {
  for (const int size : {10, 13, 20, 40})
    for (const char* text : {"Epoch 12", "mmmm", "illi", "Ägypten, façade, jpg"}) {
      const Image line = written(text, size);
      const CropBox box = ink(line);
      EXPECT_NEAR(box.x, 4, 1 + size / 8) << text << size;  // a letter has room beside it
      EXPECT_NEAR(box.x + box.width, line.width - 4, 1 + size / 8) << text << size;
      EXPECT_GE(box.y, 0);
      EXPECT_LE(box.y + box.height, text_height(size));
    }
  EXPECT_EQ(text_width("", 20), 0);
  EXPECT_GT(text_width("mmmm", 20), 2 * text_width("iiii", 20));  // proportional
  EXPECT_NEAR(text_width("reconstruction", 40), 2 * text_width("reconstruction", 20), 14);
  EXPECT_NEAR(ink(written("H", 40)).height, 0.73 * 40, 1.5);
}

TEST(Text, LettersDiffer) {
  std::set<std::vector<std::uint8_t>> seen;
  for (char c = ' '; c <= '~'; ++c) {
    const Image letter = written(std::string(1, c), 24);
    EXPECT_TRUE(seen.insert(letter.pixels).second) << c;
    EXPECT_EQ(ink(letter).width <= 0, c == ' ') << c;
  }
}

// Edges are mixed with the ground, insides have the colour itself.
TEST(Text, IsSmoothAndHasItsColour) {
  Image canvas = blank_image({60, 60}, {0, 0, 200});
  write_text(canvas, "O", 5, 0, 48, {250, 100, 0});
  bool inside = false, edge = false;
  for (std::size_t i = 0; i < canvas.pixels.size(); i += 3) {
    inside = inside || (canvas.pixels[i] == 250 && canvas.pixels[i + 2] == 0);
    edge = edge || (canvas.pixels[i] > 60 && canvas.pixels[i] < 190);
  }
  EXPECT_TRUE(inside);
  EXPECT_TRUE(edge);
}

TEST(Text, CharactersAreUtf8) {
  // One each of two, three and four bytes; the last two are not in the font: boxes.
  EXPECT_NE(written("é", 20).pixels, written("e", 20).pixels);
  EXPECT_EQ(written("狗", 20).pixels, written("猫", 20).pixels);
  EXPECT_EQ(written("狗", 20).pixels, written("\U0001F9FF", 20).pixels);
  const Image box = written("狗", 40);
  const CropBox place = ink(box);
  EXPECT_GT(place.width, 10);
  const int middle = (place.y + place.height / 2) * box.width + place.x + place.width / 2;
  EXPECT_EQ(box.pixels[static_cast<std::size_t>(middle) * 3], 255);  // hollow
  // What is no UTF-8: alone, cut short, too long.
  const int replaced = text_width("\uFFFD", 20);
  EXPECT_EQ(text_width("\xff", 20), replaced);
  EXPECT_EQ(text_width("\xe7\x8b", 20), 2 * replaced);
  EXPECT_EQ(text_width("\xc0\x80", 20), 2 * replaced);
}

TEST(Text, UpwardsIsATurnToTheLeft) {
  const Image line = written("Dog", 20);
  Image turned = blank_image({line.height, line.width}, kWhite);
  write_text_upwards(turned, "Dog", 0, line.width - 1 - 4, 20, kBlack);
  for (int y = 0; y < line.height; ++y)
    for (int x = 0; x < line.width; ++x)
      for (int c = 0; c < 3; ++c)
        EXPECT_EQ(
            turned
                .pixels[static_cast<std::size_t>(((line.width - 1 - x) * line.height + y) * 3 + c)],
            line.pixels[static_cast<std::size_t>((y * line.width + x) * 3 + c)]);
}

TEST(Text, ScaleShowsAllColoursOfHeat) {
  const int size = 16, width = scale_width("0", "1 (highest)", size);
  Image canvas = blank_image({width + 8, text_height(size)}, kWhite);
  write_scale(canvas, "0", "1 (highest)", 4, 0, size, kBlack);
  const CropBox box = ink(canvas);
  EXPECT_NEAR(box.x + box.width, width + 4, 3);
  for (const double value : {0.0, 1.0}) {
    const Colour colour = heat(value);
    bool found = false;
    for (std::size_t i = 0; i < canvas.pixels.size(); i += 3)
      found = found || std::equal(colour.begin(), colour.end(), canvas.pixels.begin() + i);
    EXPECT_TRUE(found) << value;
  }
}

TEST(Text, MayLieOutside) {
  Image canvas = blank_image({10, 10}, kWhite);
  write_text(canvas, "far away", -1000, 0, 20, kBlack);
  write_text(canvas, "far away", 3, 500, 20, kBlack);
  EXPECT_EQ(canvas.pixels, blank_image({10, 10}, kWhite).pixels);
  write_text(canvas, "M", -4, -8, 20, kBlack);  // a part of it is there
  EXPECT_NE(canvas.pixels, blank_image({10, 10}, kWhite).pixels);
  write_text(canvas, "M", 0, 0, 0, kBlack);
}

TEST(ShortenedText, KeepsBothEnds) {
  EXPECT_EQ(shortened_text("cat.jpg", 13, 1000), "cat.jpg");
  const std::string name = "animals/a folder of many words/more of them/image_0001.jpg";
  for (const int width : {40, 100, 200, 300}) {
    const std::string shorter = shortened_text(name, 13, width);
    EXPECT_LE(text_width(shorter, 13), width) << shorter;
    EXPECT_GT(text_width(shorter, 13), width - 30) << shorter;  // no more is lost than need be
    const std::size_t gap = shorter.find("…");
    ASSERT_NE(gap, std::string::npos);
    EXPECT_TRUE(name.starts_with(shorter.substr(0, gap)));
    EXPECT_TRUE(name.ends_with(shorter.substr(gap + 3)));
  }
  EXPECT_EQ(shortened_text("éééééééé", 20, text_width("éé…é", 20)), "éé…é");
  EXPECT_EQ(shortened_text("abc", 20, 1), "…");
  EXPECT_EQ(shortened_text("", 20, -5), "");
}

TEST(Text, SeveralThreadsWriteWhatOneDoes) {
  const std::vector<int> sizes{11, 17, 23, 31};
  std::vector<Image> alone, together(sizes.size());
  for (const int size : sizes) alone.push_back(written("Relevance 0 … 1", size));
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < sizes.size(); ++i)
    threads.emplace_back([&, i] {
      for (int k = 0; k < 50; ++k) together[i] = written("Relevance 0 … 1", sizes[i]);
    });
  for (std::thread& thread : threads) thread.join();
  for (std::size_t i = 0; i < sizes.size(); ++i)
    EXPECT_EQ(together[i].pixels, alone[i].pixels) << sizes[i];
}

}  // namespace
}  // namespace sgmae
