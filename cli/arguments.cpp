#include <algorithm>
#include <filesystem>

#include "cli/command.h"
#include "sgmae/base/file.h"

namespace sgmae {
namespace {

struct Assignment {
  std::string key, value, where;
};

const OptionInfo* find_option(const Options& options, const std::string& name) {
  const auto found = std::find_if(options.all().begin(), options.all().end(),
                                  [&](const OptionInfo& o) { return o.is_called(name); });
  return found == options.all().end() ? nullptr : &*found;
}

}  // namespace

ParsedArguments parse_arguments(Command& command, const std::vector<std::string>& arguments) {
  ParsedArguments parsed;
  std::vector<std::string> recipes;
  std::vector<Assignment> sets, flags;

  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "--") {
      check(!command.positional_help.empty(), ExitCode::usage, "unexpected argument '--'");
      parsed.positional.insert(parsed.positional.end(), arguments.begin() + i + 1, arguments.end());
      break;
    }
    if (argument == "-h") {
      parsed.help = true;
      continue;
    }
    if (!argument.starts_with("--")) {
      check(!command.positional_help.empty(), ExitCode::usage, "unexpected argument '", argument,
            "'; options begin with --");
      parsed.positional.push_back(argument);
      continue;
    }
    const std::size_t equals = argument.find('=');
    std::string name = argument.substr(2, equals == std::string::npos ? equals : equals - 2);
    std::replace(name.begin(), name.end(), '-', '_');
    const auto value = [&]() -> std::string {
      if (equals != std::string::npos) return argument.substr(equals + 1);
      check(i + 1 < arguments.size() && !arguments[i + 1].starts_with("--"), ExitCode::usage,
            argument, " needs a value: ", argument, " VALUE");
      return arguments[++i];
    };

    // Flags whose name says everything; a value would contradict it or be lost.
    const auto no_value = [&] {
      check(equals == std::string::npos, ExitCode::usage, argument, ": --", name,
            " takes no value");
    };

    if (name == "help") {
      no_value();
      parsed.help = true;
    } else if (name == "json") {
      no_value();
      parsed.json = true;
    } else if (command.takes_recipe && name == "config") {
      recipes.push_back(value());
    } else if (command.takes_recipe && name == "set") {
      const std::string text = value();
      const std::size_t at = text.find('=');
      check(at != std::string::npos, ExitCode::usage, "--set ", text,
            " has no value; write --set section.key=value");
      sets.push_back({text.substr(0, at), text.substr(at + 1), "--set"});
    } else if (const OptionInfo* option = find_option(command.options, name)) {
      const bool bare_flag = option->is_flag && equals == std::string::npos;
      flags.push_back({name, bare_flag ? "true" : value(), argument});
    } else if (const OptionInfo* negated =
                   name.starts_with("no_") ? find_option(command.options, name.substr(3)) : nullptr;
               negated && negated->is_flag) {
      no_value();
      flags.push_back({name.substr(3), "false", argument});
    } else {
      command.options.set(name, "", argument);  // throws, with "did you mean"
    }
  }
  if (parsed.help) return parsed;

  for (const std::string& recipe : recipes) command.options.load_toml(recipe_text(recipe), recipe);
  for (const std::vector<Assignment>* list : {&sets, &flags})
    for (const Assignment& a : *list) command.options.set(a.key, a.value, a.where);
  return parsed;
}

std::vector<std::string> resumed_run(const RunOptions& options) {
  const std::filesystem::path folder = options.resume, config = folder / "config.toml";
  if (!options.output_dir.empty() || !std::filesystem::exists(config)) return {};
  return {"--config", std::filesystem::absolute(config).string(), "--output_dir", folder.string()};
}

std::string help_text(const CommandEntry& entry, const Command& command) {
  std::string text =
      str("sgmae ", entry.name, ": ", entry.summary, "\n\nusage: sgmae ", entry.name,
          command.positional_help.empty() ? "" : " ", command.positional_help, " [options]\n");
  if (command.takes_recipe)
    text +=
        "\n  --config RECIPE            a recipe's name (sgmae recipes) or a TOML file; read "
        "first\n"
        "  --set SECTION.KEY=VALUE    one value of it, may be repeated; flags come last\n";
  text += "\n  --json                     one JSON object as the last line of stdout\n";
  std::string section;
  for (const OptionInfo& option : command.options.all()) {
    if (option.section != section) text += "\n[" + (section = option.section) + "]\n";
    std::string flag = "  --" + option.name;
    if (!option.is_flag)
      flag += " " + (option.type.find('|') == std::string::npos ? option.type : "…");
    flag.resize(std::max<std::size_t>(flag.size() + 1, 29), ' ');
    text += flag + option.meaning();
    if (option.type.find('|') != std::string::npos) text += " (" + option.type + ")";
    text += " [" + option.default_value + "]\n";
  }
  return text;
}

}  // namespace sgmae
