#include "sgmae/data/labels.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "sgmae/base/error.h"
#include "sgmae/base/log.h"
#include "sgmae/data/file_type.h"
#include "sgmae/data/left_out.h"

namespace sgmae {
namespace {

// What pandas and others write where there is no value.
bool is_missing(std::string_view word) {
  static const std::set<std::string, std::less<>> missing{"nan", "none", "null",
                                                          "na",  "n/a",  "<na>"};
  return missing.contains(lower_case(word));
}

// Two numbers or more: an image of several classes.
bool is_several(std::string_view word) {
  constexpr const char* separators = " \t,;[]()";
  int numbers = 0;
  for (std::size_t at = 0;
       (at = word.find_first_not_of(separators, at)) != std::string_view::npos;) {
    const std::size_t end = std::min(word.find_first_of(separators, at), word.size());
    if (!label_number(word.substr(at, end - at))) return false;
    ++numbers;
    at = end;
  }
  return numbers > 1;
}

void count_classes(Labels& labels, const std::string& where) {
  constexpr std::int64_t most_classes = 1'000'000;
  std::int64_t classes = 0;
  for (const std::int64_t label : labels.labels) classes = std::max(classes, label + 1);
  check(classes <= most_classes, ExitCode::data, "label ", classes - 1, " in ", where,
        " is too large; number classes from 0");
  for (std::int64_t i = 0; i < classes; ++i) labels.class_names.push_back(std::to_string(i));
}

}  // namespace

std::optional<std::int64_t> as_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

std::string trimmed(std::string_view text) {
  constexpr const char* blanks = " \t\r\n";
  const std::size_t first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(blanks) + 1 - first));
}

std::optional<std::int64_t> label_number(std::string_view text) {
  std::string inside = trimmed(text);
  if (inside.size() >= 2 && inside.front() == '[' && inside.back() == ']')
    inside = trimmed(std::string_view(inside).substr(1, inside.size() - 2));
  if (inside == "-1") return -1;
  // 3.0 or 3.000e+00, as floating-point columns are written; 1e3 without a point is a name.
  if (const std::size_t point = inside.find('.'); point != std::string::npos && point > 0) {
    double value = 0;
    const auto [end, error] = std::from_chars(inside.data(), inside.data() + inside.size(), value);
    constexpr double exact = 9007199254740992;  // 2^53
    if (error != std::errc{} || end != inside.data() + inside.size() || !(value >= -1) ||
        value > exact || value != std::floor(value))
      return std::nullopt;
    return static_cast<std::int64_t>(value);
  }
  return as_number(inside);
}

std::optional<std::string> label_of_json(const nlohmann::json& value) {
  if (value.is_null()) return "";
  if (value.is_string()) return trimmed(value.get<std::string>());
  if (value.is_boolean()) return value.get<bool>() ? "true" : "false";
  if (value.is_number_integer()) return value.dump();
  if (value.is_number_float()) {
    const double number = value.get<double>();
    constexpr double exact = 9007199254740992;  // 2^53
    if (number != std::floor(number) || std::abs(number) > exact) return std::nullopt;
    return std::to_string(static_cast<std::int64_t>(number));
  }
  if (value.is_array() && value.size() == 1 && !value.front().is_array())
    return label_of_json(value.front());
  return std::nullopt;
}

Labels number_by_name(const std::vector<std::string>& words) {
  std::map<std::string_view, std::int64_t> ids;
  for (const std::string& word : words)
    if (!word.empty()) ids.emplace(word, 0);
  Labels result;
  for (auto& [word, id] : ids) {
    id = static_cast<std::int64_t>(result.class_names.size());
    result.class_names.emplace_back(word);
  }
  result.labels.reserve(words.size());
  for (const std::string& word : words) result.labels.push_back(word.empty() ? -1 : ids.at(word));
  return result;
}

std::vector<std::string> told_apart(std::vector<std::string> class_names) {
  std::set<std::string> seen;
  for (std::size_t i = 0; i < class_names.size(); ++i)
    if (!seen.insert(class_names[i]).second) {
      class_names[i] = str(class_names[i], " (", i, ")");
      seen.insert(class_names[i]);
    }
  return class_names;
}

Labels number_folders(const std::vector<std::string>& words, const std::string& where) {
  Labels result;
  for (const std::string& word : words) {
    const auto number = word.empty() ? std::optional<std::int64_t>(-1) : as_number(word);
    if (!number) return number_by_name(words);
    result.labels.push_back(*number);
  }
  count_classes(result, where);
  return result;
}

Labels number_by_word(const std::vector<std::string>& words, const std::string& where,
                      const std::function<std::string(std::size_t)>& place,
                      std::vector<LeftOut>& left_out) {
  const auto not_understood = [&](std::size_t i, const char* why) {
    add_left_out(left_out, str("labels that are not understood (", why, ")"), LeftOut::Weight::lost,
                 str(place(i), ": '", words[i].substr(0, 40), "'"));
  };
  Labels result;
  std::vector<std::string> names;  // as number_by_name() takes them
  std::size_t numbers = 0, truths = 0, others = 0, first_other = 0;
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::string word = trimmed(words[i]);
    const auto number = word.empty() ? std::optional<std::int64_t>(-1) : label_number(word);
    result.labels.push_back(number.value_or(-1));
    if (number == -1) {
      word.clear();
    } else if (number) {
      ++numbers;
    } else if (is_several(word)) {
      not_understood(i, "several in one");
      word.clear();
    } else if (!is_missing(word)) {
      const std::string lower = lower_case(word);
      truths += lower == "true" || lower == "false";
      if (others++ == 0) first_other = i;
    }
    names.push_back(std::move(word));
  }
  if (others > 0 && truths == others && numbers == 0) {
    for (std::size_t i = 0; i < names.size(); ++i)
      if (const std::string lower = lower_case(names[i]); lower == "true" || lower == "false")
        result.labels[i] = lower == "true";
    result.class_names = {"false", "true"};
    return result;
  }
  constexpr std::size_t odd_one_in = 10;
  if (others * (odd_one_in - 1) > numbers) {
    if (numbers > 0)
      warn("labels in ", where, " are read as names, not as numbers: ", others, " of them ",
           others == 1 ? "is not a number" : "are not numbers", ", e.g. ", place(first_other),
           ": '", names[first_other].substr(0, 40), "'");
    // A class may be called None where all are names.
    return number_by_name(names);
  }
  for (std::size_t i = 0; i < names.size() && others > 0; ++i)
    if (!names[i].empty() && !is_missing(names[i]) && !label_number(names[i]))
      not_understood(i, "not a number");
  count_classes(result, where);
  return result;
}

}  // namespace sgmae
