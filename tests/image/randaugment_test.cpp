// Oracle: timm 1.0.31's rand-m9-mstd0.5-inc1 on Pillow 13 images (tests/golden/augment.py): every
// operation at eight magnitudes and both signs on six pictures, byte for byte.
#include "sgmae/image/randaugment.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "sgmae/base/error.h"
#include "tests/image/augment_golden.h"
#include "tests/image/golden.h"

namespace sgmae {
namespace {

using nlohmann::json;

const char* const op_names[augment_op_count] = {
    "auto_contrast", "equalize",     "invert",  "rotate",      "posterize",
    "solarize",      "solarize_add", "colour",  "contrast",    "brightness",
    "sharpness",     "shear_x",      "shear_y", "translate_x", "translate_y"};

AugmentOp op_of(const json& name) {
  for (int i = 0; i < augment_op_count; ++i)
    if (name == op_names[i]) return static_cast<AugmentOp>(i);
  throw std::out_of_range(name.get<std::string>());
}

std::vector<std::uint8_t> from_hex(const std::string& text) {
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = 0; i < text.size(); i += 2)
    bytes.push_back(static_cast<std::uint8_t>(std::stoi(text.substr(i, 2), nullptr, 16)));
  return bytes;
}

TEST(RandAugment, EveryOperationEqualsPillow) {
  const json golden = augment_golden("operations");
  const std::vector<std::uint8_t> fill = golden["fill"];
  int compared = 0;
  for (const json& c : golden["cases"]) {
    const AugmentOp op = op_of(c["op"]);
    // timm computes these in double, as we do; products may differ in their last bit.
    const double argument = augment_argument(op, c["magnitude"], c["negate"]);
    EXPECT_NEAR(argument, c["argument"].get<double>(), 1e-12) << c["op"] << " " << c["magnitude"];
    const AugmentStep step{op, argument};
    std::vector<std::uint8_t> results;  // of all pictures, in the order of their names
    for (const auto& [name, picture] : golden["images"].items()) {
      Image image{picture["size"][0], picture["size"][1], 3, from_hex(picture["rgb"])};
      apply(step, fill, image);
      results.insert(results.end(), image.pixels.begin(), image.pixels.end());
    }
    EXPECT_EQ(fingerprint(results), c["rgb"])
        << c["op"] << " " << c["magnitude"] << " " << c["negate"];
    ++compared;
    const json& size = golden["images"]["noisy"]["size"];
    Image grey{size[0], size[1], 1, from_hex(golden["grey"])};
    apply(step, {golden["grey_fill"]}, grey);
    EXPECT_EQ(fingerprint(grey.pixels), c["grey"]) << "grey " << c["op"] << " " << c["magnitude"];
  }
  EXPECT_EQ(compared, 8 * (6 + 2 * 9));
}

TEST(RandAugment, ReadsThePolicyOfTheField) {
  const RandAugmentOptions o = parse_rand_augment("rand-m9-mstd0.5-inc1");
  EXPECT_EQ(o.count, 2);
  EXPECT_EQ(o.magnitude, 9);
  EXPECT_EQ(o.deviation, 0.5);
  EXPECT_EQ(o.probability, 0.5);
  EXPECT_EQ(parse_rand_augment("rand-n3-m6-inc1").count, 3);
  EXPECT_EQ(parse_rand_augment("none").count, 0);
  EXPECT_EQ(parse_rand_augment("").count, 0);
}

TEST(RandAugment, RefusesOtherPolicies) {
  for (const char* text : {"original", "rand-m9", "rand-m9-inc0", "rand-9-inc1", "rand-mx-inc1",
                           "rand-m9-w0-inc1", "augmix-m5", "rand-m-1-inc1"}) {
    try {
      parse_rand_augment(text);
      ADD_FAILURE() << text << " was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::usage);
      EXPECT_NE(std::string(error.what()).find("rand-m9-mstd0.5-inc1"), std::string::npos);
    }
  }
}

TEST(RandAugment, DrawsEveryOperationEquallyOftenAndAppliesHalf) {
  constexpr int draws = 30000;
  std::map<AugmentOp, int> seen;
  int steps = 0, negative = 0, turns = 0;
  for (int i = 0; i < draws; ++i) {
    Rng rng(3, 0, static_cast<std::uint64_t>(i), Purpose::rand_augment);
    for (const AugmentStep& step : draw_rand_augment(rng, {.count = 2})) {
      ++seen[step.op], ++steps;
      if (step.op != AugmentOp::rotate) continue;
      ++turns, negative += step.argument < 0;
      EXPECT_LE(std::abs(step.argument), 30);
    }
  }
  // Binomial counts, within five standard deviations.
  EXPECT_NEAR(steps, draws, 5 * std::sqrt(draws / 2.0));
  const double each = steps / 15.0;
  ASSERT_EQ(seen.size(), 15u);
  for (const auto& [op, count] : seen) EXPECT_NEAR(count, each, 5 * std::sqrt(each));
  EXPECT_NEAR(negative, turns / 2.0, 5 * std::sqrt(turns / 4.0));
}

TEST(RandAugment, TheMagnitudeIsNormalAndCutOff) {
  double sum = 0, squares = 0;
  int n = 0;
  for (int i = 0; i < 60000; ++i) {
    Rng rng(4, 0, static_cast<std::uint64_t>(i), Purpose::rand_augment);
    for (const AugmentStep& step : draw_rand_augment(rng, {.count = 2, .probability = 1})) {
      if (step.op != AugmentOp::shear_x) continue;
      const double magnitude = std::abs(step.argument) / 0.03;
      sum += magnitude, squares += magnitude * magnitude, ++n;
    }
  }
  const double mean = sum / n, deviation = std::sqrt(squares / n - mean * mean);
  // N(9, 0.5) cut at 10: mean 9 - 0.0042, deviation 0.489; about 8000 draws, so 0.006 each.
  EXPECT_NEAR(mean, 8.996, 0.03);
  EXPECT_NEAR(deviation, 0.489, 0.03);
}

}  // namespace
}  // namespace sgmae
