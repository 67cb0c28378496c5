#include "sgmae/report/blocks.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <span>

#include "sgmae/base/file.h"
#include "sgmae/base/version.h"
#include "sgmae/report/markup.h"
#include "sgmae/report/style.h"

namespace sgmae {
namespace {

constexpr std::size_t kMostRows = 400;
constexpr int kTableDigits = 6;

std::string legend(const Chart& chart) {
  std::vector<LegendEntry> entries = chart.legend;
  if (entries.empty())
    for (const Series& series : chart.series)
      if (!series.in_table_only) entries.push_back({series.name, series.colour, series.dashed});
  std::string items;
  for (const LegendEntry& entry : entries) {
    const std::string colour =
        entry.colour == LegendEntry::text_colour
            ? ""
            : "c" + std::to_string(entry.colour % static_cast<int>(series_colours));
    const std::string swatch = element(
        "svg", {{"viewBox", "0 0 26 10"}, {"class", colour}, {"aria-hidden", "true"}},
        element("path", {{"d", "M0 5L26 5"}, {"class", entry.dashed ? "curve dashed" : "curve"}}));
    items += element("li", {}, swatch + escape(entry.name));
  }
  return element("ul", {{"class", "legend"}}, items);
}

std::string row_html(const std::vector<std::string>& cells, std::string_view rest, bool numbers) {
  std::string out;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const std::string_view scope = rest == "th" ? "col" : "row";
    if (i == 0) {
      out += text_element("th", cells[i], {{"scope", scope}});
    } else if (numbers) {
      out += text_element(rest, cells[i], {{"class", "n"}});
    } else {
      out += text_element(rest, cells[i]);
    }
  }
  return out;
}

// Width and height from the header of a PNG file, {0, 0} when it is none.
std::array<std::uint32_t, 2> png_size(std::span<const std::uint8_t> bytes) {
  constexpr std::array<std::uint8_t, 8> signature{0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
  if (bytes.size() < 24 || !std::equal(signature.begin(), signature.end(), bytes.begin()))
    return {0, 0};
  const auto big_endian = [&](std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i) value = value << 8 | bytes[at + i];
    return value;
  };
  return {big_endian(16), big_endian(20)};
}

}  // namespace

std::string table_html(const Table& table) {
  std::string body;
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    const std::string cells = row_html(table.rows[i], "td", table.numbers);
    const bool marked = i < table.marked.size() && table.marked[i];
    body += marked ? element("tr", {{"class", "differs"}}, cells) : element("tr", {}, cells);
  }
  std::string inner = element("tbody", {}, body);
  if (!table.head.empty())
    inner =
        element("thead", {}, element("tr", {}, row_html(table.head, "th", table.numbers))) + inner;
  // With tabindex the box can be scrolled by keyboard.
  return element("div", {{"class", "scroll"}, {"tabindex", "0"}}, element("table", {}, inner));
}

std::string fold(const std::string& summary, const std::string& inner) {
  return element("details", {}, text_element("summary", summary) + inner);
}

Table chart_table(const Chart& chart, std::size_t most_rows) {
  Table table{.head = {chart.x_label}, .rows = {}, .numbers = true};
  std::map<double, std::vector<std::string>> rows;
  std::size_t columns = 0;
  for (const Series& series : chart.series) {
    table.head.push_back(series.name);
    if (!series.spread.empty()) table.head.push_back("spread, " + series.name);
    for (std::size_t i = 0; i < series.y.size(); ++i) {
      if (std::isnan(series.x[i])) continue;
      std::vector<std::string>& row = rows[series.x[i]];
      row.resize(columns, readable(NAN));
      row.push_back(readable(series.y[i], kTableDigits));
      if (!series.spread.empty())
        row.push_back(i < series.spread.size() ? readable(series.spread[i], kTableDigits)
                                               : readable(NAN));
    }
    columns = table.head.size() - 1;
  }
  const std::size_t every = rows.empty() ? 1 : (rows.size() + most_rows - 1) / most_rows;
  std::size_t position = 0;
  for (auto& [x, row] : rows) {
    const bool kept = position % every == 0 || position + 1 == rows.size();
    ++position;
    if (!kept) continue;
    row.resize(columns, readable(NAN));
    row.insert(row.begin(), readable(x, 9));
    table.rows.push_back(std::move(row));
  }
  return table;
}

std::string chart_card(const Chart& chart) {
  if (!has_points(chart)) return "";
  std::string inner = text_element("h3", chart.title);
  if (!chart.note.empty()) inner += text_element("p", chart.note, {{"class", "quiet"}});
  if (chart.series.size() > 1 || chart.names_lone_line) inner += legend(chart);
  inner += chart_svg(chart);
  const Table table = chart_table(chart, kMostRows);
  std::size_t rows = 0;
  for (const Series& series : chart.series) rows = std::max(rows, series.x.size());
  const bool thinned = rows > table.rows.size();
  inner += fold(thinned ? "Numbers (" + std::to_string(table.rows.size()) + " rows of " +
                              std::to_string(rows) + ")"
                        : "Numbers",
                table_html(table));
  return element("figure", {{"class", "card"}}, inner);
}

std::string embedded_picture(std::span<const std::uint8_t> png, const std::string& title) {
  const auto [width, height] = png_size(png);
  return element("img", {{"src", "data:image/png;base64," + base64(png)},
                         {"width", std::to_string(width)},
                         {"height", std::to_string(height)},
                         {"alt", title}});
}

std::string page_html(const std::string& title, const std::string& links, const std::string& body) {
  const std::string head =
      element("meta", {{"charset", "utf-8"}}) +
      element("meta", {{"name", "viewport"}, {"content", "width=device-width, initial-scale=1"}}) +
      text_element("title", title) + element("style", {}, style_sheet());
  const std::string top =
      text_element("h1", title) + (links.empty() ? "" : element("nav", {}, links));
  const std::string foot = text_element("p", std::string("sgmae ") + version);
  return "<!DOCTYPE html>\n" +
         element("html", {{"lang", "en"}},
                 element("head", {}, head) +
                     element("body", {},
                             element("header", {}, top) + element("main", {}, body) +
                                 element("footer", {}, foot))) +
         "\n";
}

std::string PictureBox::picture(const std::filesystem::path& file, const std::string& title,
                                const std::string& caption) {
  const std::string name = file.filename().string();
  const auto missing = [&](const std::string& why) {
    ++left_out_;
    return text_element("p", name + " is not shown: " + why, {{"class", "quiet"}});
  };
  std::error_code error;
  const std::uintmax_t bytes = std::filesystem::file_size(file, error);
  if (error) return missing("it cannot be read");
  if (bytes > left_) return missing("the pictures of this page would be too large together");
  std::vector<std::uint8_t> content;
  try {
    content = read_file(file);
  } catch (const Error&) {
    return missing("it cannot be read");
  }
  const auto [width, height] = png_size(content);
  if (width == 0 || height == 0) return missing("it is not a PNG picture");
  left_ -= bytes;
  std::string text = title.empty() ? "" : text_element("h3", title);
  text += embedded_picture(content, title.empty() ? name : title);
  if (!caption.empty()) text += text_element("figcaption", caption);
  return element("figure", {{"class", "card"}}, text);
}

}  // namespace sgmae
