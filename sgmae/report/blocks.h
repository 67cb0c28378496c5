// What a page is put together from: tables, foldable parts, charts with their numbers, embedded
// pictures, and the page around them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "sgmae/report/svg.h"

namespace sgmae {

// Cells are plain text, escaped here. The first cell of a row is its heading.
struct Table {
  std::vector<std::string> head;  // empty: no head
  std::vector<std::vector<std::string>> rows;
  std::vector<bool> marked = {};  // per row: it is highlighted; empty: none
  bool numbers = false;           // cells after the first are right-aligned
};
std::string table_html(const Table& table);

// A whole document, self-contained: a heading with links, if there are any, and markup below it.
std::string page_html(const std::string& title, const std::string& links, const std::string& body);

// A picture in the page itself, `png` the bytes of its file.
std::string embedded_picture(std::span<const std::uint8_t> png, const std::string& title);

std::string fold(const std::string& summary, const std::string& inner);

// The numbers of a chart: one row per x of any series, one column per series, and one for its
// spread where it has one; six significant digits. More than `most_rows` rows are thinned evenly,
// the last one kept.
Table chart_table(const Chart& chart, std::size_t most_rows);

// Title, note, legend, picture, and the numbers to unfold. "" for a chart without any point.
std::string chart_card(const Chart& chart);

// Embeds PNG files while they fit into a number of bytes, and counts what it leaves out.
class PictureBox {
 public:
  explicit PictureBox(std::uintmax_t bytes) : left_(bytes) {}

  // A figure with its caption, or a sentence that says why the picture is missing.
  std::string picture(const std::filesystem::path& file, const std::string& title,
                      const std::string& caption);
  std::int64_t left_out() const { return left_out_; }

 private:
  std::uintmax_t left_;
  std::int64_t left_out_ = 0;
};

}  // namespace sgmae
