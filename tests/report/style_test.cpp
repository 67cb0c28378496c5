// Oracles: contrast as WCAG 2.1 defines it; colour distance CIE 1976, as seen by people with full
// protanopia, deuteranopia and tritanopia (matrices of Machado, Oliveira and Fernandes 2009).
#include "sgmae/report/style.h"

#include <algorithm>
#include <cmath>

#include "tests/report/well_formed.h"

namespace sgmae {
namespace {

using Colour = std::array<double, 3>;  // linear red, green, blue

Colour linear(std::string_view hex) {
  Colour out;
  for (std::size_t i = 0; i < 3; ++i) {
    const double c = std::stoi(std::string(hex.substr(1 + 2 * i, 2)), nullptr, 16) / 255.0;
    out[i] = c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4);
  }
  return out;
}

double contrast(std::string_view a, std::string_view b) {
  const auto luminance = [](std::string_view hex) {
    const Colour c = linear(hex);
    return 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2];
  };
  const double ratio = (luminance(a) + 0.05) / (luminance(b) + 0.05);
  return std::max(ratio, 1 / ratio);
}

using Matrix = std::array<std::array<double, 3>, 3>;

Colour times(const Matrix& m, const Colour& c) {
  Colour out{};
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t j = 0; j < 3; ++j) out[i] += m[i][j] * std::clamp(c[j], 0.0, 1.0);
  return out;
}

Colour lab(const Colour& c) {
  const Colour xyz =
      times({{{0.4124, 0.3576, 0.1805}, {0.2126, 0.7152, 0.0722}, {0.0193, 0.1192, 0.9505}}}, c);
  const Colour white{0.9505, 1, 1.089};
  Colour f;
  for (std::size_t i = 0; i < 3; ++i) {
    const double t = xyz[i] / white[i];
    f[i] = t > 0.008856 ? std::cbrt(t) : 7.787 * t + 16.0 / 116;
  }
  return {116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])};
}

class Scheme : public testing::TestWithParam<SchemeColours> {};

TEST_P(Scheme, TextAndLinesStandOut) {
  const SchemeColours& s = GetParam();
  std::vector<std::string_view> inks(s.series.begin(), s.series.end());
  inks.insert(inks.end(), {s.text, s.quiet_text, s.link});
  for (const std::string_view ink : inks)
    for (const std::string_view ground : {s.page, s.panel})
      EXPECT_GE(contrast(ink, ground), 4.5) << ink << " on " << ground;
}

// 20: a difference seen at a glance; 2.3 is just noticeable.
TEST_P(Scheme, LinesAreToldApartByEveryone) {
  const Matrix all{{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
  const Matrix protan{{{0.152286, 1.052583, -0.204868},
                       {0.114503, 0.786281, 0.099216},
                       {-0.003882, -0.048116, 1.051998}}};
  const Matrix deutan{{{0.367322, 0.860646, -0.227968},
                       {0.280085, 0.672501, 0.047413},
                       {-0.011820, 0.042940, 0.968881}}};
  const Matrix tritan{{{1.255528, -0.076749, -0.178779},
                       {-0.078411, 0.930809, 0.147602},
                       {0.004733, 0.691367, 0.303900}}};
  const auto& colours = GetParam().series;
  for (const Matrix& eye : {all, protan, deutan, tritan})
    for (std::size_t i = 0; i < colours.size(); ++i)
      for (std::size_t j = 0; j < i; ++j) {
        const Colour a = lab(times(eye, linear(colours[i]))),
                     b = lab(times(eye, linear(colours[j])));
        EXPECT_GT(std::hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]), 20)
            << colours[i] << colours[j];
      }
}

INSTANTIATE_TEST_SUITE_P(Both, Scheme, testing::Values(light_scheme, dark_scheme));

TEST(StyleSheet, IsOneBalancedSheetWithoutAddresses) {
  const std::string css = style_sheet();
  EXPECT_EQ(count_of(css, "{"), count_of(css, "}"));
  for (const char* part : {"prefers-color-scheme:dark", "@media print", ".c5{color:var(--c5)}"})
    EXPECT_TRUE(contains(css, part)) << part;
  for (const char* part : {"http", "url(", "@import", "<"})
    EXPECT_FALSE(contains(css, part)) << part;
}

}  // namespace
}  // namespace sgmae
