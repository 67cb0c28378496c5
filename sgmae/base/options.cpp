#include "sgmae/base/options.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <sstream>
#include <stdexcept>

#include "sgmae/base/toml.h"

namespace sgmae {
namespace {

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (const auto code = static_cast<unsigned char>(c); code < 0x20 || code == 0x7f) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04X", code);
      out += escape;
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

// The shortest text that reads back as the same double, with a point so that TOML keeps the type.
std::string print_number(double value) {
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  std::string text(buffer, end);
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}

template <class T>
T parse_number(const std::string& text, const char* kind) {
  T value{};
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  check(result.ec == std::errc() && result.ptr == end && !text.empty(), ExitCode::usage, "'", text,
        "' is not ", kind);
  return value;
}

template <class T>
OptionInfo integer_option(std::string name, T& value, std::string help) {
  OptionInfo info;
  info.name = std::move(name);
  info.help = std::move(help);
  info.type = "integer";
  info.assign = [&value](const std::string& text) { value = parse_number<T>(text, "an integer"); };
  info.print = [&value] { return std::to_string(value); };
  return info;
}

std::string with_underscores(std::string name) {
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

// A choice as it may be written: self_guided, self-guided, Self_Guided.
std::string plainly(const std::string& choice) {
  std::string word = with_underscores(choice);
  for (char& c : word)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return word;
}

// The place of `text` among `choices`. Throws Error(usage) with the nearest one and the list.
std::size_t place_among(const std::vector<std::string>& choices, const std::string& text) {
  const auto exact = std::find(choices.begin(), choices.end(), text);
  const auto found =
      exact != choices.end()
          ? exact
          : std::find_if(choices.begin(), choices.end(), [&](const std::string& choice) {
              return plainly(choice) == plainly(text);
            });
  if (found == choices.end()) {
    std::string list;
    for (const std::string& choice : choices) list += (list.empty() ? "" : ", ") + choice;
    const std::string nearest = nearest_word(plainly(text), choices);
    fail(ExitCode::usage, "'", text, "' is not one of ", list,
         nearest.empty() ? "" : "; did you mean '" + nearest + "'?");
  }
  return static_cast<std::size_t>(found - choices.begin());
}

}  // namespace

std::string nearest_word(const std::string& word, const std::vector<std::string>& candidates) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    std::vector<std::size_t> row(candidate.size() + 1);
    std::iota(row.begin(), row.end(), 0u);
    for (std::size_t i = 1; i <= word.size(); ++i) {
      std::size_t diagonal = std::exchange(row[0], i);
      for (std::size_t j = 1; j <= candidate.size(); ++j) {
        const std::size_t substitute = diagonal + (word[i - 1] != candidate[j - 1]);
        diagonal = row[j];
        row[j] = std::min({substitute, row[j] + 1, row[j - 1] + 1});
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return best;
}

bool OptionInfo::is_called(std::string_view word) const {
  return word == name || std::find(aliases.begin(), aliases.end(), word) != aliases.end();
}

std::string OptionInfo::meaning() const {
  std::string names;
  for (const std::string& other : aliases)
    if (other.find('.') == std::string::npos) names += (names.empty() ? "also --" : ", --") + other;
  return names.empty() ? help : help + " (" + names + ")";
}

OptionInfo& Options::add_info(OptionInfo info) {
  info.section = section_;
  info.default_value = info.print();
  if (!former_section_.empty()) info.alias(former_section_ + "." + info.name);
  options_.push_back(std::move(info));
  return options_.back();
}

OptionInfo& Options::add(std::string name, std::string& value, std::string help) {
  OptionInfo info;
  info.name = std::move(name);
  info.help = std::move(help);
  info.type = "text";
  info.assign = [&value](const std::string& text) { value = text; };
  info.print = [&value] { return quoted(value); };
  return add_info(std::move(info));
}

OptionInfo& Options::add(std::string name, std::vector<std::string>& values, std::string help) {
  OptionInfo info;
  info.name = std::move(name);
  info.help = std::move(help);
  info.type = "text";
  info.assign = [&values](const std::string& text) { values.push_back(text); };
  info.print = [&values] {
    std::string all;
    for (const std::string& value : values) all += (all.empty() ? "" : ", ") + value;
    return quoted(all);
  };
  return add_info(std::move(info));
}

OptionInfo& Options::add(std::string name, bool& value, std::string help) {
  OptionInfo info;
  info.name = std::move(name);
  info.help = std::move(help);
  info.type = "flag";
  info.is_flag = true;
  info.assign = [&value](const std::string& text) {
    check(text == "true" || text == "false", ExitCode::usage, "'", text,
          "' is neither true nor false");
    value = text == "true";
  };
  info.print = [&value] { return value ? "true" : "false"; };
  return add_info(std::move(info));
}

OptionInfo& Options::add(std::string name, int& value, std::string help) {
  return add_info(integer_option(std::move(name), value, std::move(help)));
}
OptionInfo& Options::add(std::string name, std::int64_t& value, std::string help) {
  return add_info(integer_option(std::move(name), value, std::move(help)));
}
OptionInfo& Options::add(std::string name, std::uint64_t& value, std::string help) {
  return add_info(integer_option(std::move(name), value, std::move(help)));
}

OptionInfo& Options::add(std::string name, double& value, std::string help) {
  OptionInfo info;
  info.name = std::move(name);
  info.help = std::move(help);
  info.type = "number";
  info.assign = [&value](const std::string& text) {
    const double number = parse_number<double>(text, "a number");
    check(std::isfinite(number), ExitCode::usage, "'", text, "' is not a finite number");
    value = number;
  };
  info.print = [&value] { return print_number(value); };
  return add_info(std::move(info));
}

OptionInfo& Options::add(std::string name, std::string& value, std::vector<std::string> choices,
                         std::string help) {
  return add_choice(
      std::move(name), choices, std::move(help),
      [&value, choices](std::size_t i) { value = choices[i]; },
      [&value, choices] {
        return static_cast<std::size_t>(std::find(choices.begin(), choices.end(), value) -
                                        choices.begin());
      });
}

OptionInfo& Options::add_choice(std::string name, std::vector<std::string> choices,
                                std::string help, std::function<void(std::size_t)> choose,
                                std::function<std::size_t()> chosen) {
  OptionInfo info;
  info.name = std::move(name);
  info.help = std::move(help);
  for (const std::string& choice : choices) info.type += (info.type.empty() ? "" : "|") + choice;
  info.assign = [choices, choose](const std::string& text) { choose(place_among(choices, text)); };
  info.print = [choices, chosen] { return quoted(choices.at(chosen())); };
  return add_info(std::move(info));
}

OptionInfo& Options::find(const std::string& key, const std::string& where) {
  const std::string wanted = with_underscores(key);
  std::vector<std::string> names;
  for (OptionInfo& option : options_) {
    const std::string prefix = option.section + ".";
    if (option.is_called(wanted) ||
        (wanted.starts_with(prefix) && option.is_called(wanted.substr(prefix.size()))))
      return option;
    names.push_back(wanted.find('.') == std::string::npos ? option.name : prefix + option.name);
  }
  const std::string nearest = nearest_word(wanted, names);
  fail(ExitCode::usage, where, ": unknown option '", key, "'",
       nearest.empty() ? std::string() : "; did you mean '" + nearest + "'?");
}

void Options::set(const std::string& key, const std::string& text, const std::string& where) {
  OptionInfo& option = find(key, where);
  try {
    option.assign(text);
  } catch (const Error& error) {
    fail(ExitCode::usage, where, ": ", option.name, ": ", error.what());
  }
}

void Options::load_toml(const std::string& text, const std::string& where) {
  const toml::table document = parse_toml(text, where);
  for (const auto& [section, content] : document) {
    const toml::table* table = content.as_table();
    check(table, ExitCode::usage, where, ": '", section.str(), "' is outside a [section]");
    for (const auto& [name, value] : *table) {
      const std::string place = str(where, ":", value.source().begin.line);
      const std::string key = str(section.str(), ".", name.str());
      const std::string& own_name = find(key, place).name;
      if (own_name != name.str() && table->contains(own_name)) continue;
      std::ostringstream printed;
      if (const auto* string = value.as_string()) {
        printed << string->get();
      } else if (const auto* number = value.as_floating_point()) {
        printed << print_number(number->get());
      } else if (value.is_integer() || value.is_boolean()) {
        value.visit([&](const auto& node) { printed << node; });
      } else {
        fail(ExitCode::usage, place, ": '", name.str(),
             "' must be a string, a number or a boolean");
      }
      set(key, printed.str(), place);
    }
  }
}

std::string Options::to_toml() const {
  std::ostringstream out;
  std::vector<std::string> sections;
  for (const OptionInfo& option : options_)
    if (std::find(sections.begin(), sections.end(), option.section) == sections.end())
      sections.push_back(option.section);
  for (const std::string& section : sections) {
    out << (section == sections.front() ? "" : "\n") << "[" << section << "]\n";
    for (const OptionInfo& option : options_)
      if (option.section == section) out << option.name << " = " << option.print() << "\n";
  }
  return out.str();
}

}  // namespace sgmae
