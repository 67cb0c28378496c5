#include "sgmae/data/yolo_file.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <sstream>
#include <string_view>

#include "sgmae/base/error.h"
#include "sgmae/data/labels.h"

namespace sgmae {
namespace {

constexpr auto not_an_object =
    ": not a YOLO object; a line is `class cx cy width height` or `class x y x y x y …`, with "
    "fractions of the image";
constexpr auto not_a_pose =
    ": not a YOLO object with keypoints; behind `class cx cy width height` come as many numbers as "
    "kpt_shape says, or none";

bool is_fraction(double x) {
  return x >= 0 && x <= 1;
}

// The numbers of a line; empty where a word of it is none.
std::vector<double> numbers_of(std::string_view line) {
  constexpr std::string_view blanks = " \t\r";
  std::vector<double> numbers;
  for (std::size_t at = 0; (at = line.find_first_not_of(blanks, at)) != std::string_view::npos;) {
    const std::size_t end = std::min(line.find_first_of(blanks, at), line.size());
    double number = 0;
    const auto [read, error] = std::from_chars(line.data() + at, line.data() + end, number);
    if (read != line.data() + end || error != std::errc() || !std::isfinite(number)) return {};
    numbers.push_back(number);
    at = end;
  }
  return numbers;
}

std::optional<YoloObject> object_of(const std::vector<double>& numbers,
                                    std::size_t keypoint_numbers) {
  constexpr double most_classes = 1e6;
  if (numbers.size() < 5 || numbers[0] < 0 || numbers[0] >= most_classes ||
      numbers[0] != std::floor(numbers[0]))
    return {};
  YoloObject object;
  object.category = static_cast<std::int64_t>(numbers[0]);
  constexpr std::size_t box = 5, box_and_confidence = 6;
  object.keypoints =
      keypoint_numbers > 0 && (numbers.size() == box + keypoint_numbers ||
                               numbers.size() == box_and_confidence + keypoint_numbers);
  if (numbers.size() <= box_and_confidence || object.keypoints) {
    object.numbers.assign(numbers.begin() + 1, numbers.begin() + 5);
    if (!is_fraction(numbers[1]) || !is_fraction(numbers[2]) || numbers[3] < 0 || numbers[4] < 0)
      return {};
    return object;
  }
  if (numbers.size() % 2 == 0 || keypoint_numbers > 0) return {};
  object.numbers.assign(numbers.begin() + 1, numbers.end());
  // Programs that draw outlines overstep the image by their rounding.
  if (!std::all_of(object.numbers.begin(), object.numbers.end(),
                   [](double x) { return std::abs(x - 0.5) < 1; }))
    return {};
  return object;
}

std::string without_comment(const std::string& line) {
  char quote = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quote != 0)
      quote = c == quote ? 0 : quote;
    else if (c == '\'' || c == '"')
      quote = c;
    else if (c == '#' && (i == 0 || line[i - 1] == ' ' || line[i - 1] == '\t'))
      return line.substr(0, i);
  }
  return line;
}

std::string unquoted(const std::string& text) {
  const std::string word = trimmed(text);
  if (word.size() < 2 || word.front() != word.back() || (word[0] != '\'' && word[0] != '"'))
    return word;
  std::string inner;
  for (std::size_t i = 1; i + 1 < word.size(); ++i) {
    inner += word[i];
    if (word[i] == word[0] && word[i + 1] == word[0] && i + 2 < word.size()) ++i;  // '' is '
  }
  return inner;
}

// A value: words, or words with a key each.
struct Item {
  std::string key, value;
};

// `key: value` at its first colon outside of quotes; nothing where there is none.
std::optional<Item> pair_of(const std::string& text) {
  char quote = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (quote != 0)
      quote = text[i] == quote ? 0 : quote;
    else if (text[i] == '\'' || text[i] == '"')
      quote = text[i];
    else if (text[i] == ':' && (i + 1 == text.size() || text[i + 1] == ' ' || text[i + 1] == '\t'))
      return Item{unquoted(text.substr(0, i)), trimmed(text.substr(i + 1))};
  }
  return {};
}

// The items of [a, b] or {0: a, 1: b}.
std::vector<Item> items_of_brackets(const std::string& text) {
  std::vector<Item> items;
  std::string item;
  char quote = 0;
  const bool map = text.front() == '{';
  for (std::size_t i = 1; i < text.size(); ++i) {
    const char c = text[i];
    if (quote == 0 && (c == ',' || c == ']' || c == '}')) {
      if (!trimmed(item).empty()) {
        const auto pair = map ? pair_of(trimmed(item)) : std::nullopt;
        items.push_back(pair ? Item{pair->key, unquoted(pair->value)} : Item{"", unquoted(item)});
      }
      item.clear();
      if (c != ',') break;
      continue;
    }
    if (quote != 0)
      quote = c == quote ? 0 : quote;
    else if (c == '\'' || c == '"')
      quote = c;
    item += c;
  }
  return items;
}

// The items of each key at the beginning of a line.
std::map<std::string, std::vector<Item>> parse_yaml(const std::string& text) {
  std::map<std::string, std::vector<Item>> values;
  std::istringstream lines(text);
  std::vector<Item>* open = nullptr;  // what an indented block belongs to
  std::string brackets;               // begun and not yet closed
  const auto close = [&] {
    if (brackets.find(brackets.front() == '[' ? ']' : '}') == std::string::npos) return;
    *open = items_of_brackets(brackets);
    brackets.clear();
  };
  for (std::string line; std::getline(lines, line);) {
    line = without_comment(line);
    const std::string words = trimmed(line);
    if (words.empty()) continue;
    if (!brackets.empty()) {
      brackets += " " + words;
      close();
      continue;
    }
    const bool item = words == "-" || words.starts_with("- ");
    const bool indented = line.front() == ' ' || line.front() == '\t';
    if (item || indented) {
      if (open == nullptr) continue;
      const std::string value = item ? trimmed(words.substr(1)) : words;
      const auto pair = item ? std::nullopt : pair_of(value);
      open->push_back(pair ? Item{pair->key, unquoted(pair->value)} : Item{"", unquoted(value)});
      continue;
    }
    open = nullptr;
    const auto pair = pair_of(words);
    if (!pair) continue;
    open = &values[pair->key];
    open->clear();
    if (pair->value.starts_with('[') || pair->value.starts_with('{')) {
      brackets = pair->value;
      close();
    } else if (!pair->value.empty()) {
      open->push_back({"", unquoted(pair->value)});
    }
  }
  return values;
}

std::vector<std::string> names_of(const std::vector<Item>& items, const std::string& where) {
  std::vector<std::string> names;
  for (const Item& item : items) {
    check(item.key.empty() || as_number(item.key) == static_cast<std::int64_t>(names.size()),
          ExitCode::data, where, ": the classes under 'names' are not numbered 0, 1, 2 …: after ",
          names.size(), " of them comes '", item.key, "'");
    names.push_back(item.value);
  }
  return names;
}

// kpt_shape: how many keypoints an object has, and of how many numbers each.
std::size_t numbers_of_keypoints(const std::vector<Item>& items, const std::string& where) {
  if (items.empty()) return 0;
  constexpr std::int64_t most = 10'000;
  std::vector<std::int64_t> shape;
  for (const Item& item : items) shape.push_back(as_number(item.value).value_or(0));
  check(shape.size() == 2 && std::min(shape[0], shape[1]) > 0 && shape[0] < most && shape[1] < most,
        ExitCode::data, where, ": kpt_shape is not two numbers such as [17, 3]");
  return static_cast<std::size_t>(shape[0] * shape[1]);
}

}  // namespace

std::vector<YoloObject> parse_yolo(const std::string& text, const std::string& where,
                                   std::size_t keypoint_numbers) {
  std::vector<YoloObject> objects;
  std::int64_t number = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line(text.data() + at, end - at);
    ++number;
    at = end + 1;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    auto object = object_of(numbers_of(line), keypoint_numbers);
    check(object.has_value(), ExitCode::data, where, ":", number,
          keypoint_numbers > 0 ? not_a_pose : not_an_object);
    object->line = number;
    objects.push_back(std::move(*object));
  }
  return objects;
}

PixelBox box_of(const YoloObject& object, ImageSize size) {
  const double width = size.width, height = size.height;
  const std::vector<double>& n = object.numbers;
  if (object.is_box())
    return {(n[0] - n[2] / 2) * width, (n[1] - n[3] / 2) * height, (n[0] + n[2] / 2) * width,
            (n[1] + n[3] / 2) * height};
  constexpr double infinity = std::numeric_limits<double>::infinity();
  PixelBox box{infinity, infinity, -infinity, -infinity};
  for (std::size_t i = 0; i + 1 < n.size(); i += 2) {
    box.left = std::min(box.left, n[i] * width);
    box.right = std::max(box.right, n[i] * width);
    box.top = std::min(box.top, n[i + 1] * height);
    box.bottom = std::max(box.bottom, n[i + 1] * height);
  }
  return box;
}

std::vector<double> outline_of(const YoloObject& object, ImageSize size) {
  if (object.is_box()) return {};
  std::vector<double> points = object.numbers;
  for (std::size_t i = 0; i < points.size(); ++i)
    points[i] *= i % 2 == 0 ? size.width : size.height;
  return points;
}

YoloData parse_yolo_data(const std::string& text, const std::string& where) {
  auto values = parse_yaml(text);
  YoloData data;
  const auto path = values.find("path");
  if (path != values.end() && !path->second.empty()) data.path = path->second.front().value;
  for (const char* part : {"train", "val", "test"})
    for (const Item& item : values[part])
      if (item.key.empty() && !item.value.empty()) data.parts[part].push_back(item.value);
  data.class_names = names_of(values["names"], where);
  data.keypoint_numbers = numbers_of_keypoints(values["kpt_shape"], where);
  return data;
}

YoloData parse_darknet_data(const std::string& text) {
  YoloData data;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t equals = line.find('=');
    if (equals == std::string::npos) continue;
    const std::string key = trimmed(line.substr(0, equals)),
                      value = trimmed(line.substr(equals + 1));
    if (value.empty()) continue;
    if (key == "train") data.parts["train"] = {value};
    if (key == "valid") data.parts["val"] = {value};
    if (key == "names") data.names_file = value;
  }
  return data;
}

std::vector<std::string> parse_class_names(const std::string& text, const std::string& where) {
  if (auto values = parse_yaml(text); values.contains("names"))
    return names_of(values["names"], where);
  std::istringstream lines(text);
  std::vector<std::string> names;
  for (std::string line; std::getline(lines, line);)
    if (std::string name = trimmed(line); !name.empty()) names.push_back(std::move(name));
  return names;
}

}  // namespace sgmae
