// Oracles: torchvision 0.26's ColorJitter and hue on Pillow 13 images (tests/golden/views.py), byte
// for byte; the blur's formula, in double.
#include "sgmae/image/contrastive_augment.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "sgmae/image/colour.h"
#include "tests/image/augment_golden.h"
#include "tests/image/golden.h"

namespace sgmae {
namespace {

using nlohmann::json;

json views_golden() {
  return json::parse(read_text(std::string(SGMAE_TEST_DATA) + "/views.json"));
}

std::vector<std::uint8_t> from_hex(const std::string& text) {
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = 0; i < text.size(); i += 2)
    bytes.push_back(static_cast<std::uint8_t>(std::stoi(text.substr(i, 2), nullptr, 16)));
  return bytes;
}

// Fingerprint of what `change` makes of all pictures, in the order of their names.
template <class Change>
std::string of_pictures(const json& pictures, const Change& change) {
  std::vector<std::uint8_t> results;
  for (const auto& [name, picture] : pictures.items()) {
    Image image{picture["size"][0], picture["size"][1], 3, from_hex(picture["rgb"])};
    change(image);
    results.insert(results.end(), image.pixels.begin(), image.pixels.end());
  }
  return fingerprint(results);
}

TEST(ContrastiveAugment, ColoursEqualTorchvision) {
  const json golden = views_golden(), pictures = augment_golden("operations");
  for (const json& c : golden["hues"]) {
    const double turn = c["turn"];
    EXPECT_EQ(of_pictures(pictures["images"], [&](Image& image) { turn_hue(image, turn); }),
              c["rgb"])
        << turn;
  }
  int compared = 0;
  for (const json& c : golden["jitters"]) {
    const json& by = c["by"];
    ViewChanges changes;
    changes.jitter = {by[0], by[1], by[2], by[3], c["order"]};
    EXPECT_EQ(of_pictures(pictures["images"], [&](Image& image) { apply(changes, image); }),
              c["rgb"])
        << c["order"];
    const json& size = pictures["images"]["noisy"]["size"];
    Image grey{size[0], size[1], 1, from_hex(pictures["grey"])};
    apply(changes, grey);
    EXPECT_EQ(fingerprint(grey.pixels), c["grey"]) << c["order"];
    ++compared;
  }
  EXPECT_EQ(compared, 24);
  ViewChanges grey;
  grey.grey = true;
  EXPECT_EQ(of_pictures(pictures["images"], [&](Image& image) { apply(grey, image); }),
            golden["made_grey"]);
}

Image noisy_image(int width, int height, int channels) {
  Image image{width, height, channels, {}};
  Rng rng(3, 0, 0, Purpose::probe);
  for (int i = 0; i < width * height * channels; ++i)
    image.pixels.push_back(static_cast<std::uint8_t>(rng.below(256)));
  return image;
}

// Sizes on both sides of what is summed at a time, and smaller than the blur reaches.
TEST(ContrastiveAugment, BlurIsAGaussianMean) {
  for (const auto& [width, height, channels] :
       {std::tuple{19, 7, 3}, {33, 5, 1}, {3, 2, 3}, {1, 1, 3}})
    for (const double sigma : {0.1, 0.7, 2.0}) {
      const Image before = noisy_image(width, height, channels);
      Image after = before;
      gaussian_blur(after, sigma);
      const int reach = static_cast<int>(std::ceil(4 * sigma));
      for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x)
          for (int c = 0; c < channels; ++c) {
            double sum = 0, weights = 0;
            for (int dy = -reach; dy <= reach; ++dy)
              for (int dx = -reach; dx <= reach; ++dx) {
                const double weight = std::exp(-(dx * dx + dy * dy) / (2 * sigma * sigma));
                const int row = std::clamp(y + dy, 0, height - 1);
                const int column = std::clamp(x + dx, 0, width - 1);
                weights += weight;
                sum +=
                    weight *
                    before.pixels[static_cast<std::size_t>((row * width + column) * channels + c)];
              }
            const int got = after.pixels[static_cast<std::size_t>((y * width + x) * channels + c)];
            ASSERT_NEAR(got, sum / weights, 0.5001) << sigma << " " << x << " " << y;
          }
    }
}

TEST(ContrastiveAugment, BlurKeepsWhatIsFlatToTheBrightest) {
  for (const int value : {0, 77, 255}) {
    Image flat{20, 9, 3, std::vector<std::uint8_t>(540, static_cast<std::uint8_t>(value))};
    const auto before = flat.pixels;
    gaussian_blur(flat, 1.3);
    EXPECT_EQ(flat.pixels, before);
  }
}

TEST(ContrastiveAugment, ChangesComeInOrder) {
  const Image before = noisy_image(8, 8, 3);
  Image together = before, apart = before;
  apply({.jitter = ColourJitter{1.2, 0.8, 1.1, 0.05, {3, 1, 0, 2}},
         .grey = true,
         .blur = 0.8,
         .solarise = true},
        together);
  turn_hue(apart, 0.05);
  adjust_contrast(apart, 0.8);
  adjust_brightness(apart, 1.2);
  adjust_colour(apart, 1.1);
  adjust_colour(apart, 0);
  gaussian_blur(apart, 0.8);
  solarize(apart, 128);
  EXPECT_EQ(together.pixels, apart.pixels);
  Image untouched = before;
  apply({}, untouched);
  EXPECT_EQ(untouched.pixels, before.pixels);
}

// Shares of 4000 draws lie within four deviations, and extremes near the ends of their ranges.
TEST(ContrastiveAugment, DrawsAreThoseOfByol) {
  constexpr int draws = 4000;
  const TwoViews views;
  for (const ViewOptions& options : {views.first, views.second}) {
    std::map<std::array<int, 4>, int> orders;
    int jitters = 0, greys = 0, blurs = 0, solarised = 0;
    double darkest = 2, brightest = 0, least_turn = 1, most_turn = -1, least = 9, most = 0;
    for (int i = 0; i < draws; ++i) {
      Rng rng(1, 2, static_cast<std::uint64_t>(i), Purpose::second_view);
      const ViewChanges drawn = draw_view(rng, options);
      if (drawn.jitter) {
        ++jitters;
        ++orders[drawn.jitter->order];
        darkest = std::min(darkest, drawn.jitter->brightness);
        brightest = std::max(brightest, drawn.jitter->brightness);
        least_turn = std::min(least_turn, drawn.jitter->hue);
        most_turn = std::max(most_turn, drawn.jitter->hue);
        EXPECT_NEAR(drawn.jitter->contrast, 1, 0.4);
        EXPECT_NEAR(drawn.jitter->saturation, 1, 0.2);
      }
      greys += drawn.grey;
      solarised += drawn.solarise;
      if (!drawn.blur) continue;
      ++blurs;
      least = std::min(least, *drawn.blur);
      most = std::max(most, *drawn.blur);
    }
    const auto expect_share = [&](int count, double share) {
      EXPECT_NEAR(count, draws * share, 4 * std::sqrt(draws * share * (1 - share)) + 1e-9);
    };
    expect_share(jitters, 0.8);
    expect_share(greys, 0.2);
    expect_share(blurs, options.blur);
    expect_share(solarised, options.solarise);
    EXPECT_EQ(orders.size(), 24u);
    EXPECT_NEAR(darkest, 0.6, 0.01);
    EXPECT_NEAR(brightest, 1.4, 0.01);
    EXPECT_NEAR(least_turn, -0.1, 0.01);
    EXPECT_NEAR(most_turn, 0.1, 0.01);
    EXPECT_NEAR(least, 0.1, 0.05);
    EXPECT_NEAR(most, 2, 0.05);
  }
  EXPECT_EQ(views.first.blur, 1);
  EXPECT_EQ(views.second.blur, 0.1);
  EXPECT_EQ(views.second.solarise, 0.2);
}

}  // namespace
}  // namespace sgmae
