// Oracle: timm 1.0.31's RandomErasing on the same draws (tests/golden/augment.py), and moments.
#include "sgmae/image/random_erase.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/image/augment_golden.h"

namespace sgmae {
namespace {

using nlohmann::json;

TEST(RandomErase, BoxesEqualTimmsOnItsDraws) {
  int boxes = 0;
  for (const json& c : augment_golden("erasures")) {
    const std::vector<double> draws = c["draws"];
    std::size_t used = 0;
    const auto box = erase_box({c["width"], c["height"]}, {}, [&] { return draws.at(used++); });
    EXPECT_EQ(used, draws.size());
    const bool erases = box && box->width * box->height > 0;  // tiny images round to nothing
    ASSERT_EQ(erases, !c["box"].is_null());
    if (!erases) continue;
    ++boxes;
    EXPECT_EQ(json({box->x, box->y, box->width, box->height}), c["box"]);
  }
  EXPECT_GT(boxes, 12);
}

TEST(RandomErase, NoiseFillsTheBoxOfAllChannelsAndNothingElse) {
  const ImageSize size{24, 16};
  constexpr int channels = 3, images = 400;
  int erased = 0;
  double sum = 0, squares = 0, count = 0;
  for (int i = 0; i < images; ++i) {
    std::vector<float> values(channels * 24 * 16, 100.0f);
    Rng rng(1, 0, static_cast<std::uint64_t>(i), Purpose::random_erase);
    random_erase(rng, {.probability = 0.25}, channels, size, values.data());
    std::vector<int> changed(channels);
    for (std::size_t k = 0; k < values.size(); ++k) {
      if (values[k] == 100.0f) continue;
      ++changed[k / (24 * 16)];
      sum += values[k], squares += values[k] * values[k], ++count;
    }
    EXPECT_EQ(changed[0], changed[1]);
    EXPECT_EQ(changed[0], changed[2]);
    EXPECT_LT(changed[0], 24 * 16 / 2);
    erased += changed[0] > 0;
  }
  EXPECT_NEAR(erased, images / 4, 5 * std::sqrt(images * 0.25 * 0.75));
  EXPECT_NEAR(sum / count, 0, 5 / std::sqrt(count));
  EXPECT_NEAR(squares / count, 1, 5 * std::sqrt(2 / count));
}

TEST(RandomErase, ProbabilityZeroDrawsNothing) {
  std::vector<float> values(12, 5.0f);
  Rng rng(1, 0, 0, Purpose::random_erase);
  random_erase(rng, {}, 3, {2, 2}, values.data());
  EXPECT_EQ(values, std::vector<float>(12, 5.0f));
}

}  // namespace
}  // namespace sgmae
