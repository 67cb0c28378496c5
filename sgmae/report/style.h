// How a report looks: one style sheet for light and dark screens, phones and paper.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace sgmae {

// Line colours, told apart with any of the three kinds of colour blindness and readable as text
// (contrast of 4.5 or more) on the backgrounds below; tests/report/style_test.cpp measures both.
struct SchemeColours {
  std::string_view page, panel, text, quiet_text, link;
  std::array<std::string_view, 6> series;
};

inline constexpr SchemeColours light_scheme{
    "#ffffff", "#f6f7f9", "#1b1f24",
    "#57606a", "#0b57a4", {"#7400fa", "#c94000", "#077e71", "#a03cbb", "#5a0100", "#0e0f37"}};
inline constexpr SchemeColours dark_scheme{
    "#14171c", "#1c2027", "#e8eaed",
    "#a6adb8", "#7ab8ff", {"#2f90ff", "#ff861b", "#7e8f56", "#c783b8", "#b0ff90", "#ffe6e4"}};

inline constexpr std::size_t series_colours = light_scheme.series.size();

std::string style_sheet();

}  // namespace sgmae
