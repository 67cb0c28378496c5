// Oracles: Pillow (tests/golden/labels.py); colours that Pascal VOC publishes.
#include "sgmae/image/label_map.h"

#include <gtest/gtest.h>

#include "labels_golden.h"
#include "sgmae/image/decode.h"
#include "sgmae/image/encode.h"
#include "tests/support/errors.h"

namespace sgmae {
namespace {

TEST(LabelMap, ReadsWhatPillowReads) {
  int read = 0;
  for (const auto& entry : labels_golden("files")) {
    if (!entry.contains("values")) continue;
    const LabelMap map = read_label_map(read_file(labels_path(entry["file"])));
    EXPECT_EQ(map.size, (ImageSize{entry["width"], entry["height"]})) << entry["file"];
    EXPECT_EQ(map.labels, entry["values"].get<std::vector<std::uint8_t>>()) << entry["file"];
    ++read;
  }
  EXPECT_EQ(read, 10);
}

std::string refusal(const std::vector<std::uint8_t>& bytes) {
  return error_of(ExitCode::data, [&] { read_label_map(bytes); });
}

TEST(LabelMap, RefusesWhatHoldsNoLabels) {
  const auto of_file = [](const char* file) { return refusal(read_file(labels_path(file))); };
  EXPECT_NE(of_file("rgb.png").find("the labels are colours (RGB)"), std::string::npos);
  EXPECT_NE(of_file("rgba.png").find("the labels are colours (RGBA)"), std::string::npos);
  EXPECT_NE(of_file("grey_alpha.png").find("grey with transparency"), std::string::npos);
  EXPECT_NE(of_file("grey_16bit.png").find("16 bits"), std::string::npos);
  const Image photo{8, 8, 1, std::vector<std::uint8_t>(64, 3)};
  EXPECT_NE(refusal(encode_jpeg(view(photo), 90)).find("this is jpeg, which may have changed"),
            std::string::npos);
}

// Cut off anywhere, or with a byte changed: an error or a map, nothing else.
TEST(LabelMap, DamagedFiles) {
  const auto whole = read_file(labels_path("palette_4bit.png"));
  for (std::size_t length = 0; length + 16 < whole.size(); ++length)
    refusal({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)});
  int refused = 0;
  for (std::size_t at = 0; at < whole.size(); ++at) {
    auto damaged = whole;
    damaged[at] ^= 0x41;
    try {
      read_label_map(damaged);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::data);
      ++refused;
    }
  }
  EXPECT_GT(refused, 60);
}

TEST(LabelMap, ComesBackFromItsPng) {
  LabelMap map{{37, 11}, {}};
  for (int i = 0; i < 37 * 11; ++i) map.labels.push_back(static_cast<std::uint8_t>(i * 7));
  const auto png = encode_label_png(map);
  const LabelMap again = read_label_map(png);
  EXPECT_EQ(again.size, map.size);
  EXPECT_EQ(again.labels, map.labels);
  const Image colours = decode_image(png, 3);
  for (std::size_t i = 0; i < map.labels.size(); ++i) {
    const Colour want = label_colour(map.labels[i]);
    EXPECT_TRUE(std::equal(want.begin(), want.end(), &colours.pixels[3 * i]));
  }
}

TEST(LabelMap, ColoursOfPascalVoc) {
  EXPECT_EQ(label_colour(0), (Colour{0, 0, 0}));
  EXPECT_EQ(label_colour(1), (Colour{128, 0, 0}));        // aeroplane
  EXPECT_EQ(label_colour(2), (Colour{0, 128, 0}));        // bicycle
  EXPECT_EQ(label_colour(8), (Colour{64, 0, 0}));         // cat
  EXPECT_EQ(label_colour(15), (Colour{192, 128, 128}));   // person
  EXPECT_EQ(label_colour(20), (Colour{0, 64, 128}));      // tv/monitor
  EXPECT_EQ(label_colour(255), (Colour{224, 224, 192}));  // void
}

LabelMap pattern(int width, int height) {
  LabelMap map{{width, height}, {}};
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      map.labels.push_back(static_cast<std::uint8_t>(7 * x + 31 * y + x * y));
  return map;
}

TEST(LabelMap, NearestEqualsPillow) {
  for (const auto& entry : labels_golden("nearest")) {
    const std::vector<int> size = entry["size"], target = entry["target"];
    const LabelMap map = pattern(size[0], size[1]);
    LabelMap result;
    resize_labels(map, whole(map.size), {target[0], target[1]}, {0, 0, target[0], target[1]}, false,
                  result);
    EXPECT_EQ(fingerprint(result.labels), entry["values"]) << entry;
  }
}

// A window, mirrored, of a part: the same pixels of the part resized whole.
TEST(LabelMap, WindowsArePartsOfTheWhole) {
  const LabelMap map = pattern(53, 41);
  LabelMap part{{30, 20}, {}}, all, window;
  for (int y = 0; y < 20; ++y)
    for (int x = 0; x < 30; ++x)
      part.labels.push_back(map.labels[static_cast<std::size_t>((y + 7) * 53 + x + 11)]);
  resize_labels(part, whole(part.size), {77, 13}, {0, 0, 77, 13}, false, all);
  resize_labels(map, {11, 7, 30, 20}, {77, 13}, {5, 2, 60, 9}, true, window);
  EXPECT_EQ(window.size, (ImageSize{60, 9}));
  for (int y = 0; y < 9; ++y)
    for (int x = 0; x < 60; ++x)
      EXPECT_EQ(window.labels[static_cast<std::size_t>(y * 60 + x)],
                all.labels[static_cast<std::size_t>((y + 2) * 77 + 5 + 59 - x)]);
}

}  // namespace
}  // namespace sgmae
