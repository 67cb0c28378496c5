// Oracles: shapes small enough to count by hand; texts, runs and masks of polygons made with
// pycocotools 2.0.11 (tests/golden/coco_masks.py); masks of pixels, which are slow and plain.
#include "sgmae/image/runs.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "tests/support/errors.h"

namespace sgmae {
namespace {

using Counts = std::vector<std::uint32_t>;
using nlohmann::json;

// The first `rows` rows of noise with `share` of object; runs of it are short.
Image noise(ImageSize size, double share, unsigned seed) {
  std::mt19937 draw(seed);
  Image mask{size.width, size.height, 1, {}};
  for (int i = 0; i < size.width * size.height; ++i)
    mask.pixels.push_back(draw() < share * 4294967296.0 ? 1 : 0);
  return mask;
}

ImageSize size_of(const Counts& counts) {
  int pixels = 0;
  for (const std::uint32_t count : counts) pixels += static_cast<int>(count);
  return {pixels, 1};
}

TEST(Runs, TextsAreThoseOfPycocotools) {
  const std::vector<std::pair<std::string, Counts>> known{
      {";32NO012004", {11, 3, 2, 1, 1, 1, 2, 3, 2, 3, 6}},
      {"06", {0, 6}},
      {"32111OO04OM", {3, 2, 1, 3, 2, 2, 1, 2, 5, 1, 2}},
      {"mm2R9:000000000K", {3005, 290, 10, 290, 10, 290, 10, 290, 10, 290, 10, 290, 5}},
      {"ch92[h9n`c0", {10003, 2, 9995, 20000}}};
  for (const auto& [text, counts] : known) {
    EXPECT_EQ(runs_of_text(text, size_of(counts)).counts, counts);
    EXPECT_EQ(text_of({{}, counts}), text);
  }
}

TEST(Runs, DamagedTextsAreErrors) {
  for (const char* text : {"m", "1 2", "\xff", "O", "mmmmmmmmmmmmm0", "ooooooo0"})
    error_of(ExitCode::data, [&] { runs_of_text(text, {2, 2}); });
  const auto why = [](const Counts& counts, ImageSize size) {
    return error_of(ExitCode::data, [&] { runs_of_counts(counts, size); });
  };
  EXPECT_NE(why({3, 2}, {2, 2}).find("5 pixels for a mask of 2x2"), std::string::npos);
  EXPECT_NE(why({}, {0, 0}).find("0 pixels"), std::string::npos);
  EXPECT_NE(why({4}, {-2, -2}).find("-2x-2"), std::string::npos);
  why({4}, {2'000'000, 1});
  why({4}, {100'000, 100'000});
  EXPECT_EQ(runs_of_counts({3, 1}, {2, 2}).counts, (Counts{3, 1}));
}

TEST(Runs, GoDownTheColumns) {
  const Runs runs{{4, 3}, {4, 2, 5, 1}};
  const std::vector<std::uint8_t> pixels{0, 0, 0, 0,  //
                                         0, 1, 0, 0,  //
                                         0, 1, 0, 1};
  EXPECT_EQ(mask_of(runs).pixels, pixels);
  EXPECT_EQ(runs_of_mask(view(Image{4, 3, 1, pixels})), runs);
  EXPECT_EQ(area_of(runs), 3);
  EXPECT_EQ(box_around(runs), (CropBox{1, 1, 3, 2}));
  EXPECT_EQ(box_around(Runs{{4, 3}, {12}}), CropBox{});
  EXPECT_EQ(box_around(Runs{{4, 3}, {2, 2, 8}}), (CropBox{0, 0, 2, 3}));  // over a column's end
}

// Everything is what it is of the pixels, at odd sizes too.
TEST(Runs, AgreeWithMasksOfPixels) {
  for (const ImageSize size : {ImageSize{1, 1}, {1, 7}, {7, 1}, {13, 5}, {31, 17}})
    for (const double share : {0.0, 0.1, 0.5, 0.9, 1.0}) {
      const Image one = noise(size, share, 1), other = noise(size, 0.4, 2);
      const Runs a = runs_of_mask(view(one)), b = runs_of_mask(view(other));
      EXPECT_EQ(mask_of(a).pixels, one.pixels);
      EXPECT_EQ(runs_of_text(text_of(a), size), a);
      std::int64_t area = 0, common = 0, either = 0;
      Image both = one;
      for (std::size_t i = 0; i < one.pixels.size(); ++i) {
        area += one.pixels[i];
        common += one.pixels[i] & other.pixels[i];
        either += both.pixels[i] |= other.pixels[i];
      }
      EXPECT_EQ(area_of(a), area);
      EXPECT_EQ(common_area(a, b), common);
      const std::vector<Runs> two{a, b};
      EXPECT_EQ(united(two), runs_of_mask(view(both)));
      const auto share_of = [&](std::int64_t over) {
        return common == 0 ? 0 : static_cast<double>(common) / static_cast<double>(over);
      };
      EXPECT_EQ(overlap(a, b, false), share_of(either));
      EXPECT_EQ(overlap(a, b, true), share_of(area));
    }
}

// Runs of others may have empty ones in their midst.
TEST(Runs, EmptyRunsChangeNothing) {
  const Runs plain{{5, 2}, {2, 4, 4}}, gaps{{5, 2}, {2, 1, 0, 3, 1, 0, 3}};
  EXPECT_EQ(mask_of(gaps).pixels, mask_of(plain).pixels);
  EXPECT_EQ(box_around(gaps), box_around(plain));
  EXPECT_EQ(common_area(gaps, plain), 4);
  EXPECT_EQ(overlap(plain, gaps, false), 1);
  const std::vector<Runs> two{gaps, gaps};
  EXPECT_EQ(united(two), plain);
}

TEST(Runs, OfPolygonsAreThoseOfPycocotools) {
  std::ifstream file(std::string(SGMAE_TEST_DATA) + "/image/coco_masks.json");
  const json golden = json::parse(file);
  ASSERT_GT(golden.size(), 200u);
  for (const json& entry : golden) {
    const ImageSize size{entry.at("size")[1], entry.at("size")[0]};
    const auto polygons = entry.at("polygons").get<std::vector<std::vector<double>>>();
    const Runs runs = runs_of_polygons(polygons, size);
    EXPECT_EQ(text_of(runs), entry.at("counts").get<std::string>()) << entry.at("polygons");
    EXPECT_EQ(area_of(runs), entry.at("area").get<std::int64_t>());
    const CropBox box = box_around(runs);
    EXPECT_EQ((std::vector<int>{box.x, box.y, box.width, box.height}),
              entry.at("box").get<std::vector<int>>());
  }
}

// In time that the image bounds, not the polygon.
TEST(Runs, OfPolygonsFarBeyondTheImage) {
  const double far = largest_coordinate;
  const std::vector<std::vector<double>> all{{-far, -far, far, -far, far, far, -far, far}};
  EXPECT_EQ(runs_of_polygons(all, {3, 2}).counts, (Counts{0, 6}));
  std::vector<std::vector<double>> many(20'000, {-far, 7, far, 9, 1, far});
  many.insert(many.end(), 20'000, {-far, -far, far, -far, 1, -7});
  EXPECT_EQ(area_of(runs_of_polygons(many, {3, 2})), 0);
}

TEST(Runs, OfAShapeKeepTheirSize) {
  EXPECT_EQ(runs_of(Shape{{{0, 0, 4, 0, 0, 4}}, {}}, {5, 5}).size, (ImageSize{5, 5}));
  EXPECT_EQ(area_of(runs_of(Shape{{{0, 0, 4, 0, 0, 4}}, {}}, {5, 5})), 6);
  EXPECT_EQ(runs_of(Shape{{}, {{2, 1}, {1, 1}}}, {5, 5}).size, (ImageSize{2, 1}));
}

}  // namespace
}  // namespace sgmae
