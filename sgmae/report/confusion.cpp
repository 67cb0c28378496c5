#include "sgmae/report/confusion.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/base/json.h"

namespace sgmae {
namespace {

using nlohmann::ordered_json;

std::vector<std::string> class_names(const ordered_json& result) {
  std::vector<std::string> names;
  const ordered_json& classes = json_member(result, "per_class");
  if (classes.is_object())
    for (const auto& [name, entry] : classes.items()) names.push_back(name);
  return names;
}

struct Confused {
  std::size_t truth = 0, seen = 0;
  std::int64_t count = 0;
};

// [truth, seen, count], of classes and, last, none.
std::vector<Confused> cells_of(const ordered_json& result, std::size_t classes) {
  std::vector<Confused> cells;
  const ordered_json& list = json_member(result, "confusion");
  if (!list.is_array()) return cells;
  for (const ordered_json& entry : list) {
    if (!entry.is_array() || entry.size() != 3) continue;
    std::array<std::int64_t, 3> numbers{};
    for (std::size_t i = 0; i < 3; ++i)
      numbers[i] = json_value<std::int64_t>(entry[i]).value_or(-1);
    const auto is_class = [&](std::int64_t i) {
      return i >= 0 && static_cast<std::uint64_t>(i) <= classes;
    };
    if (is_class(numbers[0]) && is_class(numbers[1]) && numbers[2] > 0)
      cells.push_back(
          {static_cast<std::size_t>(numbers[0]), static_cast<std::size_t>(numbers[1]), numbers[2]});
  }
  return cells;
}

// What is counted. Only of objects there are some on one side alone.
enum class Counted { images, pixels, objects };

Counted counted_in(const ordered_json& result) {
  if (result.is_object() && result.contains("miou")) return Counted::pixels;
  if (result.is_object() && result.contains("acc1")) return Counted::images;
  return Counted::objects;
}

std::string meaning_of(Counted counted) {
  switch (counted) {
    case Counted::images:
      return "Images of each class (rows) by the class that was predicted, in per cent.";
    case Counted::pixels:
      return "Pixels of each class (rows) by the class that was predicted, in per cent.";
    case Counted::objects:
      break;
  }
  return "Detections with a score of at least 0.5, against objects that they overlap by half or "
         "more, whatever the class.";
}

// All classes against all.
Table square(const std::vector<Confused>& cells, std::vector<std::string> names, Counted counted) {
  const std::size_t none = names.size();
  Table table{.head = {"is"}, .rows = {}, .numbers = true};
  for (const std::string& name : names)
    table.head.push_back((counted == Counted::objects ? "found: " : "seen as: ") + name);
  if (counted == Counted::objects) {
    table.head.push_back("missed");
    names.push_back("background");
  }
  std::vector<std::int64_t> sums(none + 1);
  for (const Confused& cell : cells) sums[cell.truth] += cell.count;
  for (const std::string& name : names) {
    table.rows.emplace_back(table.head.size());
    table.rows.back()[0] = name;
  }
  for (const Confused& cell : cells) {
    if (cell.truth >= table.rows.size() || cell.seen + 1 >= table.head.size()) continue;
    table.rows[cell.truth][cell.seen + 1] =
        counted == Counted::objects
            ? std::to_string(cell.count)
            : fixed(100.0 * static_cast<double>(cell.count) / static_cast<double>(sums[cell.truth]),
                    1);
  }
  return table;
}

Table mistakes(std::vector<Confused> cells, const std::vector<std::string>& names,
               Counted counted) {
  constexpr std::size_t most = 40;
  const char* const what = counted == Counted::objects  ? "objects"
                           : counted == Counted::pixels ? "pixels"
                                                        : "images";
  Table table{.head = {"is", counted == Counted::objects ? "found" : "seen as", what},
              .rows = {},
              .numbers = true};
  std::erase_if(cells, [](const Confused& cell) { return cell.truth == cell.seen; });
  std::stable_sort(cells.begin(), cells.end(),
                   [](const Confused& a, const Confused& b) { return a.count > b.count; });
  cells.resize(std::min(cells.size(), most));
  const std::size_t none = names.size();
  for (const Confused& cell : cells)
    table.rows.push_back({cell.truth == none ? "background" : names[cell.truth],
                          cell.seen == none ? "missed" : names[cell.seen],
                          std::to_string(cell.count)});
  return table;
}

}  // namespace

Confusion confusion_of(const ordered_json& result, std::size_t most_classes) {
  const std::vector<std::string> names = class_names(result);
  const std::vector<Confused> cells = cells_of(result, names.size());
  if (names.empty() || cells.empty()) return {};
  const Counted counted = counted_in(result);
  if (names.size() <= most_classes) return {square(cells, names, counted), meaning_of(counted)};
  return {mistakes(cells, names, counted),
          counted == Counted::objects ? meaning_of(counted) : "The most frequent mistakes."};
}

}  // namespace sgmae
