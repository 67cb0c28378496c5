// Line charts as SVG text: nice ticks, units, direct labels, no script. Colours are the page's
// (style.h): an element of class c0, c1 … is drawn in that series colour.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace sgmae {

struct Series {
  std::string name;
  std::vector<double> x = {}, y = {};  // equally long; a y that is not finite leaves a gap
  std::vector<double> spread = {};     // of what y is the mean of; empty, or tabled
  std::vector<double> interval = {};   // empty, or y ± interval is shaded, below all lines
  int colour = 0;                      // of series_colours in style.h, taken modulo their number
  bool dashed = false;
  bool in_table_only = false;  // one of too many to be drawn
};

// A vertical line, e.g. where guidance begins.
struct Marker {
  double x = 0;
  std::string label;
  int colour = 0;
};

// What a colour or a kind of line means, where one entry per line would be too many.
struct LegendEntry {
  static constexpr int text_colour = -1;
  std::string name;
  int colour = text_colour;
  bool dashed = false;
};

struct Chart {
  std::string title, x_label, y_label;  // labels with units
  std::string note = {};                // one sentence under the title
  std::vector<Series> series = {};
  std::vector<Marker> markers = {};
  std::vector<LegendEntry> legend = {};  // empty: one entry per line, and names beside few lines
  bool whole_x = true;                   // x counts something: ticks at whole numbers only
  bool from_zero = false;                // the y axis begins at 0
  bool may_be_negative = true;           // if not, shading ends at 0
  bool names_lone_line = false;          // a legend even for one line alone
};

// Round numbers that cover [low, high]: first, first + step … last, at most `most` intervals, step
// 1, 2 or 5 times a power of ten (at least 1 where `whole`).
struct Ticks {
  double first = 0, last = 1, step = 1;
  std::size_t count() const;
  double at(std::size_t i) const { return first + step * static_cast<double>(i); }
};
Ticks nice_ticks(double low, double high, int most, bool whole = false);

// `value` with as many decimals as `step` needs: tick_label(0.3, 0.1) is "0.3".
std::string tick_label(double value, double step);

// Positions of the points worth drawing: all of up to `most` of them, otherwise, in each of most /
// 4 stretches of equal length, the first, the last, the lowest and the highest, so that no spike is
// lost. Ascending; points that are not finite count as gaps and stand for their stretch when it
// holds nothing else.
std::vector<std::size_t> thin(const std::vector<double>& y, std::size_t most);

// Whether any point can be drawn.
bool has_points(const Chart& chart);

// <text>, escaped; `anchor` is SVG's. Width of it in the 11-pixel font of style.h, rather too wide.
std::string svg_text(double x, double y, const std::string& text, std::string_view anchor,
                     std::string_view classes = "label");
double svg_text_width(const std::string& text);
std::string svg_number(double value);  // a coordinate, to 0.1

// The first letters of a long text and "…", `letters` in all.
std::string shortened(const std::string& text, std::size_t letters);

// The picture alone, an <svg> element. Its names for title and so on are escaped here.
std::string chart_svg(const Chart& chart);

}  // namespace sgmae
