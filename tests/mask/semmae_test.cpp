// Oracles: patches of each part counted; parts found anew from the model's own features; the
// nearest patch centre by trying all.
#include "sgmae/mask/semmae.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <vector>

#include "sgmae/io/npy.h"
#include "sgmae/io/safetensors.h"
#include "sgmae/ncut/graph.h"
#include "sgmae/ncut/recursive.h"
#include "tests/mask/tiny_context.h"
#include "tests/support/errors.h"
#include "tests/support/other_device.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

// Parts of 100, 60, 30 and 6 patches, interleaved.
std::vector<float> labels() {
  std::vector<float> label(196);
  for (int i = 0; i < 196; ++i) {
    const int place = i * 71 % 196;
    label[i] = static_cast<float>(place < 100 ? 0 : place < 160 ? 1 : place < 190 ? 2 : 5);
  }
  return label;
}

// Hidden patches of each part.
std::map<float, std::int64_t> hidden_of(double intra, std::uint64_t image, double ratio = 0.75) {
  const std::vector<float> label = labels();
  std::vector<float> hidden(196, -1);
  Rng rng(1, 2, image, Purpose::mask);
  hide_parts(label, ratio, intra, rng, hidden);
  std::map<float, std::int64_t> counts;
  for (int i = 0; i < 196; ++i) {
    EXPECT_TRUE(hidden[i] == 0 || hidden[i] == 1);
    counts[label[i]] += hidden[i] == 1;
  }
  return counts;
}

TEST(HideParts, TakesAShareOfEveryPartAtFirst) {
  for (std::uint64_t image = 0; image < 10; ++image)
    EXPECT_EQ(hidden_of(1, image),
              (std::map<float, std::int64_t>{{0, 75}, {1, 45}, {2, 23}, {5, 5}}));
}

TEST(HideParts, TakesWholePartsInTheEnd) {
  const std::map<float, std::int64_t> sizes{{0, 100}, {1, 60}, {2, 30}, {5, 6}};
  std::set<std::map<float, std::int64_t>> different;
  for (std::uint64_t image = 0; image < 60; ++image) {
    const auto counts = hidden_of(0, image);
    std::int64_t all = 0, broken = 0;
    for (const auto& [part, count] : counts) {
      all += count;
      broken += count > 0 && count < sizes.at(part);
    }
    EXPECT_EQ(all, 147);
    EXPECT_LE(broken, 1);
    different.insert(counts);
  }
  // Of 196 patches 49 stay, so that some are left of the part that comes last where it is large
  // enough, else of the last two or three.
  EXPECT_GE(different.size(), 6u);
}

TEST(HideParts, MixesBothKinds) {
  for (std::uint64_t image = 0; image < 20; ++image) {
    const auto whole = hidden_of(0, image), share = hidden_of(1, image);
    for (const auto& [part, count] : hidden_of(0.3, image))
      EXPECT_EQ(count, std::llround(0.3 * static_cast<double>(share.at(part)) +
                                    0.7 * static_cast<double>(whole.at(part))));
  }
}

TEST(SampleMap, TakesTheNearestLabel) {
  std::vector<float> map(35);
  for (int i = 0; i < 35; ++i) map[i] = static_cast<float>(i);
  Rng rng(1, 0, 0, Purpose::probe);
  for (int trial = 0; trial < 40; ++trial) {
    const ImageSize source{60 + static_cast<int>(rng.below(90)),
                           40 + static_cast<int>(rng.below(90))};
    const CropBox crop{static_cast<int>(rng.below(20)), static_cast<int>(rng.below(20)),
                       20 + static_cast<int>(rng.below(20)), 10 + static_cast<int>(rng.below(10))};
    const bool flipped = trial % 2 == 1;
    const auto seen = sample_map(map, 5, 7, crop, source, flipped, MapSampling::nearest);
    for (int row = 0; row < 5; ++row)
      for (int column = 0; column < 7; ++column) {
        const double from_left = flipped ? 6 - column : column;
        const double x = crop.x + (from_left + 0.5) / 7 * crop.width;
        const double y = crop.y + (row + 0.5) / 5 * crop.height;
        const auto distance = [&](int patch) {
          return std::hypot((patch % 7 + 0.5) / 7 * source.width - x,
                            (patch / 7 + 0.5) / 5 * source.height - y);
        };
        double least = 1e9;
        for (int patch = 0; patch < 35; ++patch) least = std::min(least, distance(patch));
        EXPECT_NEAR(distance(static_cast<int>(seen[row * 7 + column])), least, 1e-9);
      }
  }
}

class SemMaeTest : public ::testing::Test {
 protected:
  static SemMaeOptions from(std::int64_t start) {
    SemMaeOptions o;
    o.parts = 4;
    o.start = start;
    return o;
  }
  // Hidden patches of each part, as its crop shows them.
  static std::map<float, std::pair<int, int>> counts(const std::vector<float>& seen,
                                                     const MaskPlan& plan, std::int64_t image) {
    std::map<float, std::pair<int, int>> of;  // hidden, all
    for (std::int64_t k = 0; k < 16; ++k) {
      auto& [hidden, all] = of[seen[plan.order[image][k].item<std::int64_t>()]];
      hidden += k >= plan.n_visible;
      ++all;
    }
    return of;
  }

  TinyContext tiny_;
};

TEST_F(SemMaeTest, CutsEveryTrainingImageIntoParts) {
  SemMae mask(from(2), tiny_.context());
  EXPECT_FALSE(mask.before_epoch(1).save_now);
  EXPECT_EQ(mask.guide_start(), std::nullopt);
  const EpochStart begins = mask.before_epoch(2);
  EXPECT_TRUE(begins.save_now);
  EXPECT_TRUE(begins.losses_do_not_compare);
  EXPECT_TRUE(begins.news.at(0).starts_with("parts of 96 images")) << begins.news[0];
  EXPECT_EQ(mask.guide_start(), 2);
  EXPECT_FALSE(mask.before_epoch(3).save_now);
  EXPECT_TRUE(mask.needs_checkpoint({2, 0}));

  const at::Tensor stored =
      *read_safetensors(tiny_.run().maps() / "relevance-2.safetensors").find("relevance");
  LoaderOptions loader = whole_images(tiny_.context().loader);
  Loader images(tiny_.source(), loader);
  images.start_epoch(0);
  std::int64_t several = 0;
  for (Batch batch; images.next(batch);) {
    Taps taps({"encoder.1.block_out"});
    tiny_.model().encode(batch.pixels, &taps);
    const at::Tensor tokens = taps["encoder.1.block_out"].slice(1, 1).to(at::kDouble);
    for (std::int64_t i = 0; i < batch.size(); ++i) {
      const at::Tensor own = tokens[i] - tokens[i].mean(0, /*keepdim=*/true);
      const at::Tensor unit = own / own.norm(2, {1}, /*keepdim=*/true);
      const Clustering found = recursive_ncut(unit.matmul(unit.t()).to(at::kFloat), 4);
      for (std::int64_t p = 0; p < 16; ++p)
        EXPECT_EQ(stored[batch.index[i]].view(-1)[p].item<float>(), found.label[p]);
      several += found.parts > 1;
    }
  }
  EXPECT_GT(several, 80);
}

TEST_F(SemMaeTest, PartsOfAnotherDeviceAreThoseOfTheCpu) {
  const at::Device device = other_device();
  const GuideOptions guide{.features = GuideFeatures::block_out, .center = GuideCenter::mean};
  const at::Tensor pixels = tiny_.batch(0).pixels;
  const at::Tensor here = find_parts(tiny_.model(), pixels, guide, 4);
  tiny_.model().move_to(device);
  const at::Tensor there = find_parts(tiny_.model(), send(pixels, device), guide, 4);
  ASSERT_TRUE(there.is_cpu());
  // A patch near the edge of a cut may change sides by rounding.
  EXPECT_GT(here.eq(there).to(at::kFloat).mean().item<double>(), 0.95);
}

TEST_F(SemMaeTest, MasksPartsAsTheCropShowsThem) {
  SemMae mask(from(2), tiny_.context(/*epochs=*/12));
  mask.before_epoch(2);
  EXPECT_DOUBLE_EQ(mask.intra(2), 0.99);
  EXPECT_DOUBLE_EQ(mask.intra(6), 0.75);
  EXPECT_DOUBLE_EQ(mask.intra(11), 0);
  const RelevanceMaps maps(tiny_.run().maps() / "relevance-2.safetensors");
  const Batch batch = tiny_.batch(11);
  const MaskPlan last = mask.plan(batch, 11);
  expect_whole(last, 16, 4);
  double parts = 0;
  for (std::int64_t i = 0; i < batch.size(); ++i) {
    const auto seen = sample_map(maps.map(batch.index[i]), 4, 4, batch.crop[i],
                                 batch.source_size[i], batch.flipped[i] != 0, MapSampling::nearest);
    int broken = 0;
    for (const auto& [part, count] : counts(seen, last, i))
      broken += count.first > 0 && count.first < count.second;
    EXPECT_LE(broken, 1);
    parts += static_cast<double>(std::set<float>(seen.begin(), seen.end()).size()) / 24;
  }
  const auto entries = mask.after_epoch(11);
  EXPECT_NEAR(entries["mask_parts"].get<double>(), parts, 1e-5);
  EXPECT_GT(parts, 1);
  EXPECT_EQ(entries["mask_intra"], 0.0);
  expect_whole(mask.plan(batch, 2), 16, 4);
  expect_whole(mask.plan(batch, 6), 16, 4);

  SemMae resumed(from(2), tiny_.context(12));
  restore(resumed, mask.state());
  EXPECT_TRUE(at::equal(resumed.plan(batch, 11).order, last.order));
  SemMae others(
      [] {
        SemMaeOptions o = from(2);
        o.parts = 3;
        return o;
      }(),
      tiny_.context(12));
  restore(others, mask.state());
  EXPECT_TRUE(others.before_epoch(3).save_now) << "four parts are not three";
}

TEST_F(SemMaeTest, IsRandomBeforeItsStart) {
  SemMae mask(from(2), tiny_.context());
  const TaskState before = mask.state();
  RandomMask random(16, 0.75, TinyContext::seed);
  const Batch batch = tiny_.batch(1);
  EXPECT_TRUE(at::equal(mask.plan(batch, 1).order, random.plan(batch, 1).order));
  EXPECT_TRUE(mask.after_epoch(1).empty());
  mask.before_epoch(2);
  EXPECT_FALSE(at::equal(mask.plan(batch, 2).order, random.plan(batch, 2).order));
  restore(mask, before);
  EXPECT_EQ(mask.guide_start(), std::nullopt);
  EXPECT_TRUE(at::equal(mask.plan(batch, 2).order, random.plan(batch, 2).order));
  EXPECT_EQ(SemMaeOptions().random_epochs(800), 100);
  EXPECT_EQ(from(3).random_epochs(2), 2);
}

TEST_F(SemMaeTest, TakesPartsOfTheUsersOwn) {
  at::Tensor parts = at::zeros({96, 4, 4}, at::kByte);
  parts.slice(1, 2).fill_(7);  // lower half
  SemMaeOptions o;
  o.part_file = tiny_.path("parts.npy").string();
  write_npy(o.part_file, parts);
  EXPECT_EQ(o.random_epochs(40), 0);
  SemMae mask(o, tiny_.context(/*epochs=*/10));
  EXPECT_FALSE(mask.before_epoch(0).save_now);
  EXPECT_EQ(mask.guide_start(), 0);
  Batch batch = tiny_.batch(9);
  for (std::int64_t i = 0; i < batch.size(); ++i) batch.crop[i] = whole(batch.source_size[i]);
  const MaskPlan last = mask.plan(batch, 9);
  std::set<bool> upper;
  for (std::int64_t i = 0; i < batch.size(); ++i) {  // one half is hidden, and half of the other
    std::set<bool> own;
    for (std::int64_t k = 0; k < 4; ++k) own.insert(last.order[i][k].item<std::int64_t>() < 8);
    EXPECT_EQ(own.size(), 1u);
    upper.insert(own.begin(), own.end());
  }
  EXPECT_EQ(upper.size(), 2u);
  const MaskPlan first = mask.plan(batch, 0);
  for (std::int64_t i = 0; i < batch.size(); ++i) {
    int top = 0;
    for (std::int64_t k = 0; k < 4; ++k) top += first.order[i][k].item<std::int64_t>() < 8;
    EXPECT_EQ(top, 2) << "a quarter of every part stays";
  }
  SemMae resumed(o, tiny_.context(10));
  restore(resumed, mask.state());
  EXPECT_TRUE(at::equal(resumed.plan(batch, 0).order, first.order));
  write_npy(o.part_file, parts.add(1));
  SemMae other(o, tiny_.context(10));
  EXPECT_NE(
      error_of(ExitCode::usage, [&] { restore(other, mask.state()); }).find("semmae_part_file"),
      std::string::npos);
}

TEST_F(SemMaeTest, RefusesWhatNoRunCouldHave) {
  const auto said = [](auto change) {
    SemMaeOptions o;
    change(o);
    return error_of(ExitCode::usage, [&] { o.check(false); });
  };
  EXPECT_NE(said([](SemMaeOptions& o) { o.parts = 1; }).find("semmae_parts"), std::string::npos);
  EXPECT_NE(said([](SemMaeOptions& o) { o.start = -2; }).find("semmae_start"), std::string::npos);
  EXPECT_NE(said([](SemMaeOptions& o) { o.refresh = -1; }).find("semmae_refresh_epochs"),
            std::string::npos);
}

}  // namespace
}  // namespace sgmae
