#include "sgmae/report/svg.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "sgmae/report/markup.h"
#include "sgmae/report/style.h"

namespace sgmae {
namespace {

// Sizes in pixels of a chart that is not scaled; about the width of a phone.
constexpr double kWidth = 440, kHeight = 270, kTop = 28, kBottom = 40;
constexpr double kLetter = 7.2, kLineHeight = 13;  // of the 11-pixel font of style.h
constexpr std::size_t kDirectLabels = 8;           // more lines than this have a legend only
constexpr std::size_t kShadedLines = 6;            // of more lines no interval is shaded
constexpr std::size_t kShownPoints = 40;           // more points than this are a line only
constexpr std::size_t kDrawnPoints = 1200;         // per line
constexpr std::size_t kLongestLabel = 18;          // letters

// Numbers beyond this are an accident, and axes that hold them would show nothing else.
bool drawable(double value) {
  return std::isfinite(value) && std::abs(value) < 1e100;
}

// Of UTF-8.
bool begins_character(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
}

std::string colour_class(int colour) {
  return "c" + std::to_string(colour % static_cast<int>(series_colours));
}

std::string line(double x1, double y1, double x2, double y2, std::string_view kind) {
  return element("line", {{"x1", svg_number(x1)},
                          {"y1", svg_number(y1)},
                          {"x2", svg_number(x2)},
                          {"y2", svg_number(y2)},
                          {"class", kind}});
}

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -low;

  void add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

// Where a chart's numbers lie on the picture.
struct Frame {
  Range x, y;
  double left = 0, right = 0, top = kTop, bottom = kHeight - kBottom;

  double across(double value) const {
    return left + (value - x.low) / (x.high - x.low) * (right - left);
  }
  double down(double value) const {
    return bottom - (value - y.low) / (y.high - y.low) * (bottom - top);
  }
};

// What is shaded at point i, which has a value; of many lines nothing but the value.
Range shaded(const Chart& chart, const Series& series, std::size_t i) {
  const bool known = chart.series.size() <= kShadedLines && i < series.interval.size() &&
                     drawable(series.interval[i]);
  const double y = series.y[i], half = known ? series.interval[i] : 0;
  return {chart.may_be_negative ? y - half : std::max(y - half, std::min(y, 0.0)), y + half};
}

bool labels_lines(const Chart& chart) {
  return chart.legend.empty() && chart.series.size() > 1 && chart.series.size() <= kDirectLabels;
}

std::string axes(const Chart& chart, const Frame& frame, const Ticks& x, const Ticks& y) {
  std::string out;
  for (std::size_t i = 0; i < y.count(); ++i) {
    const double at = frame.down(y.at(i));
    out += line(frame.left, at, frame.right, at, "grid");
    out += svg_text(frame.left - 6, at + 4, tick_label(y.at(i), y.step), "end");
  }
  for (std::size_t i = 0; i < x.count(); ++i) {
    const double value = x.at(i), slack = 1e-9 * (frame.x.high - frame.x.low);
    if (value < frame.x.low - slack || value > frame.x.high + slack) continue;
    out += line(frame.across(value), frame.bottom, frame.across(value), frame.bottom + 4, "axis");
    out += svg_text(frame.across(value), frame.bottom + 17, tick_label(value, x.step), "middle");
  }
  out += line(frame.left, frame.bottom, frame.right, frame.bottom, "axis");
  out +=
      svg_text((frame.left + frame.right) / 2, kHeight - 6, chart.x_label, "middle", "label name");
  return out + svg_text(4, 13, chart.y_label, "start", "label name");
}

// The first label above the lines, each one row below the one before, so that lines close together
// stay readable.
std::string markers(const Chart& chart, const Frame& frame) {
  std::string out;
  double row = frame.top - 3;
  for (const Marker& marker : chart.markers) {
    if (!(marker.x >= frame.x.low && marker.x <= frame.x.high)) continue;
    const double x = frame.across(marker.x);
    const bool room = x + 5 + svg_text_width(marker.label) < frame.right;
    out += element(
        "g", {{"class", colour_class(marker.colour)}},
        line(x, frame.top, x, frame.bottom, "marker") +
            svg_text(room ? x + 5 : x - 5, row, marker.label, room ? "start" : "end", "label own"));
    row += kLineHeight;
  }
  return out;
}

std::string band(const Chart& chart, const Series& series, const Frame& frame) {
  if (series.interval.empty() || chart.series.size() > kShadedLines) return "";
  std::string upper, lower, out;
  const auto close = [&] {
    if (!upper.empty())
      out += element("path", {{"d", "M" + upper + lower + "Z"}, {"class", "band"}});
    upper.clear();
    lower.clear();
  };
  for (const std::size_t i : thin(series.y, kDrawnPoints)) {
    if (!drawable(series.y[i]) || !drawable(series.x[i])) {
      close();
      continue;
    }
    const Range range = shaded(chart, series, i);
    const std::string x = svg_number(frame.across(series.x[i]));
    upper += (upper.empty() ? "" : "L") + x + " " + svg_number(frame.down(range.high));
    lower = "L" + x + " " + svg_number(frame.down(range.low)) + lower;
  }
  close();
  return element("g", {{"class", colour_class(series.colour)}}, out);
}

std::string curve(const Chart& chart, const Series& series, const Frame& frame) {
  const std::vector<std::size_t> drawn = thin(series.y, kDrawnPoints);
  std::string path, points;
  for (std::size_t k = 0; k < drawn.size(); ++k) {
    const std::size_t i = drawn[k];
    if (!drawable(series.y[i]) || !drawable(series.x[i])) continue;
    const bool after_gap = k == 0 || !drawable(series.y[drawn[k - 1]]);
    const bool before_gap = k + 1 == drawn.size() || !drawable(series.y[drawn[k + 1]]);
    const std::string x = svg_number(frame.across(series.x[i])),
                      y = svg_number(frame.down(series.y[i]));
    path += (after_gap ? "M" : "L") + x + " " + y;
    if (drawn.size() > kShownPoints && !(after_gap && before_gap)) continue;
    const std::string tip = series.name + ", " + chart.x_label + " " + readable(series.x[i]) +
                            ": " + readable(series.y[i]);
    points += element("circle", {{"cx", x}, {"cy", y}, {"r", "2.6"}}, text_element("title", tip));
  }
  std::string out;
  if (!path.empty())
    out = element("path", {{"d", path}, {"class", series.dashed ? "curve dashed" : "curve"}});
  return element("g", {{"class", colour_class(series.colour)}}, out + points);
}

// Names at the right end of the lines, pushed apart where they would overlap.
std::string line_names(const Chart& chart, const Frame& frame) {
  struct Name {
    const Series* series;
    double y;
  };
  std::vector<Name> names;
  for (const Series& series : chart.series)
    for (std::size_t i = series.y.size(); i-- > 0;)
      if (drawable(series.y[i])) {
        names.push_back({&series, frame.down(series.y[i])});
        break;
      }
  std::stable_sort(names.begin(), names.end(),
                   [](const Name& a, const Name& b) { return a.y < b.y; });
  for (std::size_t i = 1; i < names.size(); ++i)
    names[i].y = std::max(names[i].y, names[i - 1].y + kLineHeight);
  double limit = frame.bottom;
  for (std::size_t i = names.size(); i-- > 0; limit = names[i].y - kLineHeight)
    names[i].y = std::min(names[i].y, limit);
  std::string out;
  for (const Name& name : names)
    out += element("g", {{"class", colour_class(name.series->colour)}},
                   svg_text(frame.right + 6, name.y + 4,
                            shortened(name.series->name, kLongestLabel), "start", "label own"));
  return out;
}

}  // namespace

std::size_t Ticks::count() const {
  return static_cast<std::size_t>(std::llround((last - first) / step)) + 1;
}

Ticks nice_ticks(double low, double high, int most, bool whole) {
  if (!(high - low > 1e-12 * std::max(std::abs(low), std::abs(high)))) {  // one value
    const double around = whole ? 1 : low == 0 ? 0.5 : 0.05 * std::abs(low);
    low -= around;
    high += around;
  }
  double unit = std::pow(10.0, std::floor(std::log10((high - low) / most)));
  if (whole) unit = std::max(1.0, unit);
  for (;; unit *= 10)
    for (const double factor : {1.0, 2.0, 5.0}) {
      const double step = factor * unit;
      // 1e-6 of a step more or less is rounding of `low` and `high`, not a reason for another tick.
      const Ticks ticks{std::floor(low / step + 1e-6) * step, std::ceil(high / step - 1e-6) * step,
                        step};
      if (ticks.count() <= static_cast<std::size_t>(most) + 1) return ticks;
    }
}

std::string tick_label(double value, double step) {
  if (std::abs(value) < 1e-9 * step) value = 0;  // not "-0" nor 1e-17
  char text[64];
  if (value != 0 && (std::abs(value) >= 1e6 || step < 9.9e-6)) {
    const int digits = std::max(0, static_cast<int>(std::floor(std::log10(std::abs(value)) + 1e-9) -
                                                    std::floor(std::log10(step) + 1e-9)));
    std::snprintf(text, sizeof text, "%.*e", digits, value);
    return text;
  }
  const int decimals = std::max(0, static_cast<int>(-std::floor(std::log10(step) + 1e-9)));
  std::snprintf(text, sizeof text, "%.*f", std::min(decimals, 9), value);
  return text;
}

std::vector<std::size_t> thin(const std::vector<double>& y, std::size_t most) {
  std::vector<std::size_t> kept;
  const std::size_t stretches = std::max<std::size_t>(1, most / 4);
  for (std::size_t s = 0; s < stretches; ++s) {
    const std::size_t begin = s * y.size() / stretches, end = (s + 1) * y.size() / stretches;
    if (y.size() <= most) {
      for (std::size_t i = begin; i < end; ++i) kept.push_back(i);
      continue;
    }
    std::vector<std::size_t> finite;
    for (std::size_t i = begin; i < end; ++i)
      if (drawable(y[i])) finite.push_back(i);
    if (finite.empty()) {
      kept.push_back(begin);
      continue;
    }
    const auto [low, high] = std::minmax_element(
        finite.begin(), finite.end(), [&](std::size_t a, std::size_t b) { return y[a] < y[b]; });
    std::vector<std::size_t> chosen{finite.front(), *low, *high, finite.back()};
    std::sort(chosen.begin(), chosen.end());
    kept.insert(kept.end(), chosen.begin(), std::unique(chosen.begin(), chosen.end()));
  }
  return kept;
}

double svg_text_width(const std::string& text) {
  return kLetter * static_cast<double>(std::count_if(text.begin(), text.end(),
                                                     [](char c) { return begins_character(c); }));
}

std::string svg_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

std::string svg_text(double x, double y, const std::string& text, std::string_view anchor,
                     std::string_view classes) {
  return text_element(
      "text", text,
      {{"x", svg_number(x)}, {"y", svg_number(y)}, {"text-anchor", anchor}, {"class", classes}});
}

std::string shortened(const std::string& text, std::size_t letters) {
  std::size_t seen = 0, end = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!begins_character(text[i])) continue;
    if (++seen == letters) end = i;
    if (seen > letters) return text.substr(0, end) + "…";
  }
  return text;
}

bool has_points(const Chart& chart) {
  return std::any_of(chart.series.begin(), chart.series.end(), [](const Series& series) {
    return std::any_of(series.y.begin(), series.y.end(), drawable);
  });
}

std::string chart_svg(const Chart& whole) {
  Chart chart = whole;
  std::erase_if(chart.series, [](const Series& series) { return series.in_table_only; });
  Frame frame;
  for (const Series& series : chart.series)
    for (std::size_t i = 0; i < series.y.size(); ++i) {
      if (!drawable(series.y[i]) || !drawable(series.x[i])) continue;
      const Range range = shaded(chart, series, i);
      frame.x.add(series.x[i]);
      frame.y.add(range.low);
      frame.y.add(range.high);
    }
  if (frame.x.low > frame.x.high) return "";
  if (chart.from_zero) frame.y.add(0);
  const Ticks y = nice_ticks(frame.y.low, frame.y.high, 5);
  const Ticks x = nice_ticks(frame.x.low, frame.x.high, 6, chart.whole_x);
  frame.y = {y.first, y.at(y.count() - 1)};
  if (frame.x.low == frame.x.high) frame.x = {x.first, x.at(x.count() - 1)};

  double tick_width = 0, name_width = 0;
  for (std::size_t i = 0; i < y.count(); ++i)
    tick_width = std::max(tick_width, svg_text_width(tick_label(y.at(i), y.step)));
  if (labels_lines(chart))
    for (const Series& series : chart.series)
      name_width = std::max(name_width, svg_text_width(shortened(series.name, kLongestLabel)) + 8);
  frame.left = tick_width + 14;
  frame.right = kWidth - std::max(name_width, 12.0);

  std::string inner = axes(chart, frame, x, y);
  // Below all lines, so that none is veiled.
  for (const Series& series : chart.series) inner += band(chart, series, frame);
  for (const Series& series : chart.series) inner += curve(chart, series, frame);
  inner += markers(chart, frame);
  if (labels_lines(chart)) inner += line_names(chart, frame);
  return element("svg",
                 {{"xmlns", "http://www.w3.org/2000/svg"},
                  {"viewBox", "0 0 " + svg_number(kWidth) + " " + svg_number(kHeight)},
                  {"class", "chart"},
                  {"role", "img"},
                  {"aria-label", chart.title}},
                 inner);
}

}  // namespace sgmae
