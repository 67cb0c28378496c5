// Oracles: corners worked out by hand; each pixel of a mask asked for alone.
#include "sgmae/data/canvas_objects.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "sgmae/base/rng.h"
#include "sgmae/data/loader.h"
#include "tests/data/folder.h"

namespace sgmae {
namespace {

Instance box_at(double left, double top, double right, double bottom) {
  Instance instance;
  instance.box = {left, top, right, bottom};
  return instance;
}

// All of the canvas, 0 and 1.
std::vector<std::uint8_t> drawn(const InstanceMask& mask, ImageSize canvas) {
  std::vector<std::uint8_t> all(static_cast<std::size_t>(canvas.width * canvas.height));
  for (int y = 0; y < mask.place.height; ++y)
    for (int x = 0; x < mask.place.width; ++x)
      all[static_cast<std::size_t>((mask.place.y + y) * canvas.width + mask.place.x + x)] =
          mask.inside[static_cast<std::size_t>(y * mask.place.width + x)];
  return all;
}

TEST(OnCanvas, Boxes) {
  // An image of 100x50 at twice its size, of which 60x40 from (20, 10) on are seen.
  const Placement placed{{200, 100}, 20, 10, {60, 40}};
  const std::vector<Instance> objects = {
      box_at(15, 10, 25, 20),   // all of it
      box_at(0, 0, 12, 100),    // clipped
      box_at(41, 0, 90, 50),    // beyond the right edge
      box_at(39.98, 5, 50, 25)  // less than a tenth of a pixel
  };
  auto seen = on_canvas(objects, {100, 50}, placed, false, true).objects;
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].box, (PixelBox{10, 10, 30, 30}));
  EXPECT_EQ(seen[1].box, (PixelBox{0, 0, 4, 40}));
  EXPECT_TRUE(seen[0].mask.inside.empty());  // no outline
  seen = on_canvas(objects, {100, 50}, placed, true, false).objects;
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].box, (PixelBox{30, 10, 50, 30}));
  EXPECT_EQ(seen[1].box, (PixelBox{56, 0, 60, 40}));
}

TEST(OnCanvas, CrowdsAreKeptApart) {
  std::vector<Instance> objects = {box_at(1, 2, 3, 4), box_at(5, 6, 7, 8), box_at(9, 9, 9, 9)};
  objects[0].category = 4;
  objects[1].crowd = objects[2].crowd = true;
  const CanvasObjects seen = on_canvas(objects, {10, 10}, {{10, 10}, 0, 0, {10, 10}}, false, true);
  ASSERT_EQ(seen.objects.size(), 1u);
  EXPECT_EQ(seen.objects[0].category, 4);
  EXPECT_EQ(seen.crowds, (std::vector<PixelBox>{{5, 6, 7, 8}}));
}

// Placements as the loader draws them, and objects anywhere.
struct Case {
  ImageSize source;
  Placement placed;
  bool flipped;
};
Case random_case(Rng& rng) {
  const auto up_to = [&](int most) { return 1 + static_cast<int>(rng.below(most)); };
  Case c{{up_to(60), up_to(60)}, {}, rng.below(2) == 1};
  c.placed.scaled = {up_to(90), up_to(90)};
  c.placed.content = {up_to(c.placed.scaled.width), up_to(c.placed.scaled.height)};
  c.placed.x = static_cast<int>(rng.below(c.placed.scaled.width - c.placed.content.width + 1));
  c.placed.y = static_cast<int>(rng.below(c.placed.scaled.height - c.placed.content.height + 1));
  return c;
}

double across(const Case& c, double x) {
  const double moved = x * c.placed.scaled.width / c.source.width - c.placed.x;
  return c.flipped ? c.placed.content.width - moved : moved;
}
double down(const Case& c, double y) {
  return y * c.placed.scaled.height / c.source.height - c.placed.y;
}

void expect_box_around(const CanvasObject& object) {
  const CropBox& place = object.mask.place;
  EXPECT_EQ(object.box, (PixelBox{double(place.x), double(place.y), double(place.x + place.width),
                                  double(place.y + place.height)}));
  const auto& inside = object.mask.inside;
  const auto edge = [&](int x0, int y0, int dx, int dy, int count) {
    int found = 0;
    for (int i = 0; i < count; ++i)
      found += inside[static_cast<std::size_t>((y0 + i * dy) * place.width + x0 + i * dx)];
    return found;
  };
  EXPECT_GT(edge(0, 0, 1, 0, place.width), 0);
  EXPECT_GT(edge(0, place.height - 1, 1, 0, place.width), 0);
  EXPECT_GT(edge(0, 0, 0, 1, place.height), 0);
  EXPECT_GT(edge(place.width - 1, 0, 0, 1, place.height), 0);
}

// Of the rectangle that is rasterised, the same as of all of the canvas.
TEST(OnCanvas, PolygonsAreRasterisedThere) {
  Rng rng(1, 0, 0, Purpose::augment);
  int seen_objects = 0, unseen = 0;
  for (int i = 0; i < 500; ++i) {
    const Case c = random_case(rng);
    Instance instance = box_at(0, 0, c.source.width, c.source.height);
    std::vector<std::vector<double>> moved;
    for (int part = 0; part < 1 + i % 2; ++part) {
      std::vector<double>& points = instance.shape.polygons.emplace_back();
      std::vector<double>& there = moved.emplace_back();
      const double centre_x = rng.uniform(0, c.source.width),
                   centre_y = rng.uniform(0, c.source.height);
      for (int k = 0; k < 3 + i % 5; ++k) {
        points.push_back(centre_x + rng.uniform(-12, 12));
        points.push_back(centre_y + rng.uniform(-12, 12));
        there.push_back(across(c, points[points.size() - 2]));
        there.push_back(down(c, points.back()));
      }
    }
    const auto want = mask_of(runs_of_polygons(moved, c.placed.content)).pixels;
    const bool any = std::count(want.begin(), want.end(), 1) > 0;
    const auto seen = on_canvas(std::span(&instance, 1), c.source, c.placed, c.flipped, true);
    ASSERT_EQ(seen.objects.size(), any ? 1u : 0u);
    any ? ++seen_objects : ++unseen;
    if (!any) continue;
    EXPECT_EQ(drawn(seen.objects[0].mask, c.placed.content), want);
    expect_box_around(seen.objects[0]);
  }
  EXPECT_GT(seen_objects, 200);
  EXPECT_GT(unseen, 20);
}

TEST(OnCanvas, RunsAreSampledAtCentres) {
  Rng rng(2, 0, 0, Purpose::augment);
  int seen_objects = 0;
  for (int i = 0; i < 500; ++i) {
    const Case c = random_case(rng);
    Image mask{c.source.width, c.source.height, 1, {}};
    const CropBox object{static_cast<int>(rng.below(c.source.width)),
                         static_cast<int>(rng.below(c.source.height)), 1 + i % 20, 1 + i % 17};
    for (int y = 0; y < mask.height; ++y)
      for (int x = 0; x < mask.width; ++x)
        mask.pixels.push_back(x >= object.x && x < object.x + object.width && y >= object.y &&
                              y < object.y + object.height && rng.below(4) > 0);
    Instance instance = box_at(0, 0, c.source.width, c.source.height);
    instance.shape.runs = runs_of_mask(view(mask));
    std::vector<std::uint8_t> want;
    for (int y = 0; y < c.placed.content.height; ++y)
      for (int x = 0; x < c.placed.content.width; ++x) {
        const int there = c.flipped ? c.placed.content.width - 1 - x : x;
        const double from_x = (there + c.placed.x + 0.5) * c.source.width / c.placed.scaled.width;
        const double from_y = (y + c.placed.y + 0.5) * c.source.height / c.placed.scaled.height;
        want.push_back(mask.pixels[static_cast<std::size_t>(static_cast<int>(from_y) * mask.width +
                                                            static_cast<int>(from_x))]);
      }
    const bool any = std::count(want.begin(), want.end(), 1) > 0;
    const auto seen = on_canvas(std::span(&instance, 1), c.source, c.placed, c.flipped, true);
    ASSERT_EQ(seen.objects.size(), any ? 1u : 0u) << i;
    if (!any) continue;
    ++seen_objects;
    EXPECT_EQ(drawn(seen.objects[0].mask, c.placed.content), want);
    expect_box_around(seen.objects[0]);
  }
  EXPECT_GT(seen_objects, 150);
}

// Coordinates that no image has neither overflow nor take long.
TEST(OnCanvas, HugePolygons) {
  Instance instance = box_at(0, 0, 10, 10);
  instance.shape.polygons = {{-1e6, -1e6, 1e6, -1e6, 1e6, 1e6, -1e6, 1e6}};
  const auto seen =
      on_canvas(std::span(&instance, 1), {10, 10}, {{20, 20}, 5, 5, {8, 8}}, true, true);
  ASSERT_EQ(seen.objects.size(), 1u);
  EXPECT_EQ(seen.objects[0].mask.inside, std::vector<std::uint8_t>(64, 1));
}

// What the loader makes of a white rectangle on black lies where the object's box and outline do,
// to the width of the resize's blur.
TEST(OnCanvas, AgreesWithTheLoader) {
  const Folder folder;
  Image photo{120, 80, 3, std::vector<std::uint8_t>(120 * 80 * 3, 0)};
  for (int y = 30; y < 60; ++y)
    for (int x = 24; x < 96; ++x)
      for (int c = 0; c < 3; ++c)
        photo.pixels[static_cast<std::size_t>((y * 120 + x) * 3 + c)] = 255;
  write_png(folder.path("a.png"), photo);
  const auto source = open_files({folder.path("a.png")});
  std::vector<Instance> objects = {box_at(24, 30, 96, 60)};
  objects[0].shape.polygons = {{24, 30, 96, 30, 96, 60, 24, 60}};
  LoaderOptions options;
  options.fit = Fit::jitter;
  options.batch_size = 1;
  options.num_workers = 0;
  options.width = 90;
  options.height = 70;
  options.normalisation = {{0, 0, 0}, {1, 1, 1}};
  Loader loader(*source, options);
  int compared = 0, cut = 0;
  for (int epoch = 0; epoch < 200; ++epoch) {
    loader.start_epoch(epoch);
    Batch batch;
    ASSERT_TRUE(loader.next(batch));
    const auto seen =
        on_canvas(objects, batch.source_size[0], batch.placed[0], batch.flipped[0], true);
    const float* pixels = batch.pixels.const_data_ptr<float>();
    std::vector<std::uint8_t> mask(90 * 70, 0);
    if (!seen.objects.empty()) mask = drawn(seen.objects[0].mask, {90, 70});
    int differ = 0, edge = 0;
    for (int y = 0; y < 70; ++y)
      for (int x = 0; x < 90; ++x) {
        const bool white = pixels[y * 90 + x] > 0.5f;
        const auto at = [&](int dx, int dy) {
          const int there_x = std::clamp(x + dx, 0, 89), there_y = std::clamp(y + dy, 0, 69);
          return mask[static_cast<std::size_t>(there_y * 90 + there_x)] != 0;
        };
        // A pixel of the outline's edge may fall on either side.
        const bool near = at(0, 0) != at(1, 0) || at(0, 0) != at(-1, 0) || at(0, 0) != at(0, 1) ||
                          at(0, 0) != at(0, -1);
        if (near) ++edge;
        if (white != at(0, 0) && !near) ++differ;
      }
    EXPECT_EQ(differ, 0) << epoch;
    compared += edge > 0;
    cut += batch.placed[0].content != batch.placed[0].scaled;
  }
  EXPECT_GT(compared, 150);
  EXPECT_GT(cut, 60);
}

TEST(OnSource, IsTheWayBack) {
  Rng rng(3, 0, 0, Purpose::augment);
  for (int i = 0; i < 200; ++i) {
    const Case c = random_case(rng);
    // Inside of what is seen, so that nothing is clipped.
    const double x0 = rng.uniform(), x1 = rng.uniform(), y0 = rng.uniform(), y1 = rng.uniform();
    const auto [width, height] = c.placed.content;
    const PixelBox box{std::min(x0, x1) * width, std::min(y0, y1) * height,
                       std::max(x0, x1) * width, std::max(y0, y1) * height};
    const PixelBox there = on_source(box, c.source, c.placed, c.flipped);
    EXPECT_LE(there.left, there.right);
    const double left = across(c, c.flipped ? there.right : there.left);
    const double right = across(c, c.flipped ? there.left : there.right);
    EXPECT_NEAR(left, box.left, 1e-9);
    EXPECT_NEAR(right, box.right, 1e-9);
    EXPECT_NEAR(down(c, there.top), box.top, 1e-9);
    EXPECT_NEAR(down(c, there.bottom), box.bottom, 1e-9);
  }
  EXPECT_EQ(on_source({-5, -5, 500, 500}, {10, 20}, {{20, 40}, 0, 0, {20, 40}}, false),
            (PixelBox{0, 0, 10, 20}));
}

}  // namespace
}  // namespace sgmae
