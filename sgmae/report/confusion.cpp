#include "sgmae/report/confusion.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "sgmae/base/error.h"
#include "sgmae/base/json.h"
#include "sgmae/report/markup.h"
#include "sgmae/report/svg.h"

namespace sgmae {
namespace {

using nlohmann::ordered_json;
using Cell = Confusion::Cell;
using Counted = Confusion::Counted;

std::vector<std::string> class_names(const ordered_json& result) {
  std::vector<std::string> names;
  const ordered_json& classes = json_member(result, "per_class");
  if (classes.is_object())
    for (const auto& [name, entry] : classes.items()) names.push_back(name);
  return names;
}

// [truth, seen, count] of classes and, last, none.
std::vector<Cell> cells_of(const ordered_json& result, std::size_t side) {
  constexpr std::int64_t kMost = 1'000'000'000'000;  // more is no count, and sums would overflow
  std::map<std::pair<std::size_t, std::size_t>, std::int64_t> counts;
  const ordered_json& list = json_member(result, "confusion");
  if (!list.is_array()) return {};
  for (const ordered_json& entry : list) {
    if (!entry.is_array() || entry.size() != 3) continue;
    std::array<std::int64_t, 3> numbers{};
    for (std::size_t i = 0; i < 3; ++i)
      numbers[i] = json_value<std::int64_t>(entry[i]).value_or(-1);
    const auto is_class = [&](std::int64_t i) {
      return i >= 0 && static_cast<std::uint64_t>(i) < side;
    };
    if (is_class(numbers[0]) && is_class(numbers[1]) && numbers[2] > 0 && numbers[2] < kMost)
      counts[{static_cast<std::size_t>(numbers[0]), static_cast<std::size_t>(numbers[1])}] =
          numbers[2];
  }
  std::vector<Cell> cells;
  for (const auto& [place, count] : counts) cells.push_back({place.first, place.second, count});
  return cells;
}

// Only of objects there are some on one side alone.
Counted counted_in(const ordered_json& result) {
  if (result.contains("miou")) return Counted::pixels;
  return result.contains("acc1") ? Counted::images : Counted::objects;
}

const char* things(Counted counted) {
  switch (counted) {
    case Counted::images:
      return "images";
    case Counted::pixels:
      return "pixels";
    case Counted::objects:
      break;
  }
  return "objects";
}

std::string percent(double share) {
  return fixed(100 * share, share < 0.1 ? 1 : 0) + " %";
}

// Small shares are what one looks for, so they are darker than in proportion.
double strength(double share) {
  return std::sqrt(share);
}

std::string in_words(const Confusion& confusion, const Cell& cell) {
  const bool background = cell.truth == confusion.names.size();
  std::string of = std::to_string(cell.count);
  if (!background)
    of += str(" of ", confusion.of_truth[cell.truth], " ", things(confusion.counted), " (",
              percent(confusion.share(cell)), ")");
  const std::string truth = confusion.truth_name(cell.truth);
  if (cell.seen == cell.truth) return truth + ", rightly so: " + of;
  if (cell.seen == confusion.names.size()) return truth + ", missed: " + of;
  return truth + ", taken for " + confusion.seen_name(cell.seen) + ": " + of;
}

std::vector<Cell> wrong_cells(const Confusion& confusion, std::size_t most) {
  std::vector<Cell> wrong = confusion.cells;
  std::erase_if(wrong, [](const Cell& cell) { return cell.truth == cell.seen; });
  std::stable_sort(wrong.begin(), wrong.end(),
                   [](const Cell& a, const Cell& b) { return a.count > b.count; });
  wrong.resize(std::min(wrong.size(), most));
  return wrong;
}

std::string rotated_text(double x, double y, const std::string& text, const char* anchor,
                         const char* classes) {
  return text_element(
      "text", text,
      {{"transform", "translate(" + svg_number(x) + " " + svg_number(y) + ")rotate(-90)"},
       {"text-anchor", anchor},
       {"class", classes}});
}

std::string box(double x, double y, double side, double opacity, const std::string& tip) {
  return element("rect",
                 {{"x", svg_number(x)},
                  {"y", svg_number(y)},
                  {"width", svg_number(side)},
                  {"height", svg_number(side)},
                  {"fill-opacity", fixed(opacity, 2)}},
                 tip.empty() ? "" : text_element("title", tip));
}

// From 0 to all of a true class.
std::string colour_bar(double x, double y, Counted counted) {
  constexpr int kSteps = 40;
  constexpr double kStep = 4;
  std::string out;
  for (int i = 0; i < kSteps; ++i) out += box(x + i * kStep, y, kStep, (i + 0.5) / kSteps, "");
  for (const double share : {0.0, 0.04, 0.25, 1.0})
    out += svg_text(x + strength(share) * kSteps * kStep, y + kStep + 12, fixed(100 * share, 0),
                    "middle");
  return out + svg_text(x + kSteps * kStep + 16, y + kStep + 12,
                        str("% of the ", things(counted), " of the true class"), "start",
                        "label name");
}

std::string what_is_counted(Counted counted) {
  if (counted == Counted::objects)
    return "Detections with a score of at least 0.5, against objects that they overlap by half or "
           "more, whatever the class.";
  return str("Of the test ", things(counted),
             " of each true class, the share that was taken for each class. Right answers lie on "
             "the diagonal.");
}

}  // namespace

double Confusion::share(const Cell& cell) const {
  return static_cast<double>(cell.count) / static_cast<double>(of_truth[cell.truth]);
}

std::string Confusion::truth_name(std::size_t truth) const {
  return truth < names.size() ? names[truth] : "background";
}

std::string Confusion::seen_name(std::size_t seen) const {
  return seen < names.size() ? names[seen] : "missed";
}

std::optional<Confusion> read_confusion(const ordered_json& result) {
  const ordered_json& test = json_member(result, "test");  // of a classifier
  const ordered_json& counts = test.is_object() ? test : result;
  if (!counts.is_object()) return std::nullopt;
  Confusion confusion{
      .counted = counted_in(counts), .names = class_names(counts), .cells = {}, .of_truth = {}};
  if (confusion.names.empty()) return std::nullopt;
  confusion.cells = cells_of(counts, confusion.side());
  if (confusion.cells.empty()) return std::nullopt;
  confusion.of_truth.resize(confusion.names.size() + 1);
  for (const Cell& cell : confusion.cells) confusion.of_truth[cell.truth] += cell.count;
  return confusion;
}

Table mistakes(const Confusion& confusion, std::size_t most) {
  const char* const counted = things(confusion.counted);
  Table table{.head = {"is", "taken for", counted, str("of the class's ", counted)},
              .rows = {},
              .numbers = true};
  for (const Cell& cell : wrong_cells(confusion, most))
    table.rows.push_back(
        {confusion.truth_name(cell.truth), confusion.seen_name(cell.seen),
         std::to_string(cell.count),
         cell.truth == confusion.names.size() ? "" : percent(confusion.share(cell))});
  return table;
}

std::string confusion_svg(const Confusion& confusion) {
  constexpr std::size_t kFew = 20, kMostDrawn = 3000, kLetters = 18;
  constexpr double kLine = 12;  // between names, at least
  const std::size_t side = confusion.side();
  const bool few = side <= kFew;
  const double all = static_cast<double>(side);
  const double place = few ? 34 : std::max(700 / all, 1.0);
  double name_width = 0;
  for (std::size_t i = 0; i < side; ++i)
    for (const std::string& name : {confusion.truth_name(i), confusion.seen_name(i)})
      name_width = std::max(name_width, svg_text_width(shortened(name, kLetters)));
  const double left = name_width + 30, top = name_width + 30;
  const double width = std::max(left + place * all + 10, left + 420), bottom = top + place * all;

  std::vector<Cell> cells = confusion.cells;
  std::stable_sort(cells.begin(), cells.end(), [&](const Cell& a, const Cell& b) {
    return confusion.share(a) > confusion.share(b);
  });
  cells.resize(std::min(cells.size(), kMostDrawn));
  std::string out, numbers;
  for (const Cell& cell : cells) {
    const double x = left + place * static_cast<double>(cell.seen),
                 y = top + place * static_cast<double>(cell.truth);
    const double shown = strength(confusion.share(cell));
    out += box(x, y, place, shown, in_words(confusion, cell));
    if (few)
      numbers +=
          svg_text(x + place / 2, y + place / 2 + 4,
                   confusion.counted == Counted::objects ? std::to_string(cell.count)
                                                         : fixed(100 * confusion.share(cell), 0),
                   "middle", shown > 0.6 ? "label over" : "label");
  }
  const std::size_t every = static_cast<std::size_t>(std::ceil(kLine / place));
  for (std::size_t i = 0; i < side; i += every) {
    const double middle = place * (static_cast<double>(i) + 0.5) + 4;
    out += svg_text(left - 5, top + middle, shortened(confusion.truth_name(i), kLetters), "end");
    out += rotated_text(left + middle, top - 5, shortened(confusion.seen_name(i), kLetters),
                        "start", "label");
  }
  out += element("rect", {{"x", svg_number(left)},
                          {"y", svg_number(top)},
                          {"width", svg_number(place * all)},
                          {"height", svg_number(place * all)},
                          {"class", "frame"}});
  out += rotated_text(12, top + place * all / 2, "true class", "middle", "label name");
  out += svg_text(left + place * all / 2, 12, "predicted class", "middle", "label name");
  out += numbers + colour_bar(left, bottom + 14, confusion.counted);
  const std::string view = svg_number(width), height = svg_number(bottom + 36);
  return element("svg",
                 {{"xmlns", "http://www.w3.org/2000/svg"},
                  {"viewBox", "0 0 " + view + " " + height},
                  {"width", view},
                  {"height", height},
                  {"class", "matrix c0"},
                  {"role", "img"},
                  {"aria-label", "Confusion matrix"}},
                 out);
}

std::string confusion_card(const Confusion& confusion) {
  constexpr std::size_t kInWords = 5, kInTable = 40;
  std::string inner = text_element("h3", "Which class was taken for which") +
                      text_element("p", what_is_counted(confusion.counted), {{"class", "quiet"}});
  std::string worst;
  for (const Cell& cell : wrong_cells(confusion, kInWords))
    worst += text_element("li", in_words(confusion, cell));
  if (!worst.empty())
    inner += text_element("p", "The most frequent mistakes:") + element("ul", {}, worst);
  inner += element("div", {{"class", "scroll whole"}, {"tabindex", "0"}}, confusion_svg(confusion));
  if (const Table table = mistakes(confusion, kInTable); !table.rows.empty())
    inner += fold(str("Mistakes (the ", table.rows.size(), " most frequent)"), table_html(table));
  return element("figure", {{"class", "card wide"}}, inner);
}

}  // namespace sgmae
