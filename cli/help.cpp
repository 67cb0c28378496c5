// sgmae help: what the program and its commands are and understand.
#include <algorithm>
#include <cstring>
#include <iostream>
#include <sstream>
#include <string>

#include "cli/command.h"
#include "sgmae/base/version.h"

namespace sgmae {
namespace {

constexpr std::size_t columns = 80;

std::size_t letters_of(const std::string& text) {  // UTF-8
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

// `head`, then from column `at` on the words of `text`, broken to lines of 80 columns; all but the
// last end with `broken`.
std::string paragraph(const std::string& head, std::size_t at, const std::string& text,
                      const std::string& broken = "") {
  const std::string margin(at, ' ');
  const bool fits = letters_of(head) < at;
  std::string all = fits ? "" : head + "\n";
  std::string line = fits ? head + std::string(at - letters_of(head), ' ') : margin;
  bool begun = false;
  std::istringstream words(text);
  for (std::string word; words >> word; begun = true) {
    if (begun && letters_of(line + word) + broken.size() >= columns) {
      all += line + broken + "\n";
      line = margin + word;
    } else {
      line += (begun ? " " : "") + word;
    }
  }
  return all + line + "\n";
}

std::string example_text(const Example& example) {
  constexpr char kept =
      '\1';  // a blank at which no line ends: that between an option and its value
  std::string line = str("sgmae ", example.arguments);
  for (std::size_t at = 0; (at = line.find(" --", at)) != std::string::npos; ++at)
    if (const std::size_t value = line.find(' ', at + 1);
        value != std::string::npos && line[value + 1] != '-')
      line[value] = kept;
  line = paragraph("", 2, line, " \\");
  std::replace(line.begin(), line.end(), kept, ' ');
  return str("\n", *example.meaning ? paragraph("  #", 4, example.meaning) : "", line);
}

std::string list_of(const std::vector<std::string>& words) {
  std::string list;
  for (const std::string& word : words) list += (list.empty() ? "" : ", ") + word;
  return list;
}

std::string unquoted(const std::string& value) {
  return value.starts_with('"') ? value.substr(1, value.size() - 2) : value;
}

std::string option_text(const OptionInfo& option) {
  constexpr std::size_t at = 28;
  std::string head = "  --" + option.name;
  const std::vector<std::string> choices = choices_of(option);
  if (!choices.empty())
    head += " WORD";
  else if (!option.is_flag)
    head += option.type == "text" ? " TEXT" : option.type == "integer" ? " INTEGER" : " NUMBER";
  std::string text = option.meaning();
  if (!choices.empty()) text += " (" + list_of(choices) + ")";
  if (option.is_flag && option.default_value == "true")
    text += " [on; --no_" + option.name + "]";
  else if (!option.is_flag && option.default_value != "\"\"")
    text += " [" + unquoted(option.default_value) + "]";
  return paragraph(head, at, text);
}

}  // namespace

std::string help_text(const CommandEntry& entry, const Command& command) {
  std::string text =
      paragraph(str("sgmae ", entry.name, ":"), 7 + std::strlen(entry.name) + 1, entry.summary) +
      str("\nusage: sgmae ", entry.name, command.positional_help.empty() ? "" : " ",
          command.positional_help, " [options]\n");
  for (const Example& example : entry.examples) text += example_text(example);
  text += "\n";
  const auto add = [&](const char* head, const char* meaning) {
    text += paragraph(head, 28, meaning);
  };
  if (command.takes_recipe) {
    add("  --config RECIPE", "a recipe's name (sgmae recipes) or a TOML file; read first");
    add("  --set SECTION.KEY=VALUE", "one value of it, may be repeated; flags come last");
  }
  add("  --json", "one JSON object as the last line of stdout");
  std::string section;
  for (const OptionInfo& option : command.options.all()) {
    if (option.section != section) text += "\n[" + (section = option.section) + "]\n";
    text += option_text(option);
  }
  return text;
}

std::string overview() {
  std::string text = str("sgmae ", version,
                         ": self-guided masked autoencoders\n\nusage: sgmae COMMAND [options]\n");
  std::vector<std::string> purposes;
  for (const CommandEntry& entry : commands())
    if (std::find(purposes.begin(), purposes.end(), entry.purpose) == purposes.end())
      purposes.emplace_back(entry.purpose);
  for (const std::string& purpose : purposes) {
    text += "\n" + purpose + "\n";
    for (const CommandEntry& entry : commands())
      if (entry.purpose == purpose) text += paragraph(str("  ", entry.name), 15, entry.summary);
  }
  return text +
         "\nsgmae help COMMAND shows examples and all options of one.\n"
         "sgmae --version says which build this is.\n";
}

Command help_command() {
  Command command;
  command.positional_help = "[COMMAND]";
  for (const CommandEntry& entry : commands()) command.words.emplace_back(entry.name);
  command.run = [](const std::vector<std::string>& names) {
    check(names.size() <= 1, ExitCode::usage, "name one command: sgmae help pretrain");
    if (names.empty()) {
      std::cout << overview();
    } else {
      const CommandEntry& entry = command_named(names[0]);
      std::cout << help_text(entry, entry.make());
    }
    return nlohmann::ordered_json();
  };
  return command;
}

}  // namespace sgmae
