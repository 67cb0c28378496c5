#include <algorithm>
#include <filesystem>
#include <sstream>

#include "cli/command.h"
#include "cli/recipes.h"
#include "sgmae/checkpoint/checkpoint_name.h"

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

bool is_checkpoint(const std::string& path) {
  for (const char* ending : {".safetensors", ".pth", ".pt", ".bin", ".ckpt"})
    if (path.ends_with(ending)) return true;
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored) && find_model_file(path) != path;
}

// What an argument must have been meant for where the command takes none without a flag.
std::string meant_by(const Command& command, const std::string& argument) {
  if (argument.starts_with("-")) {
    std::string name = argument.substr(1);
    std::replace(name.begin(), name.end(), '-', '_');
    return find_option(command.options, name) ? "write -" + argument : "options begin with --";
  }
  const bool recipe = argument.ends_with(".toml") || builtin_recipes().count(argument) > 0;
  if (command.takes_recipe && recipe) return "a recipe is named by --config " + argument;
  const OptionInfo* const checkpoint = find_option(command.options, "checkpoint");
  const OptionInfo* const images = find_option(command.options, "data_path");
  if (checkpoint && (!images || is_checkpoint(argument)))
    return "a model is named by --checkpoint " + argument;
  return images ? "images are named by --data_path " + argument : "options begin with --";
}

// As a shell reads it back.
std::string joined(const std::vector<std::string>& arguments) {
  std::string line;
  for (const std::string& argument : arguments) {
    const bool plain = argument.find_first_of(" \t'\"$*?;&|<>()\\") == std::string::npos;
    line += (line.empty() ? "" : " ") + (plain ? argument : "'" + argument + "'");
  }
  return line;
}

bool takes(Command command, const std::string& recipe, const std::string& text) try {
  command.options.load_toml(text, recipe);
  return command.takes_recipe;
} catch (const Error&) {
  return false;
}

// The command's others, by the first recipe among the arguments.
void choose_by_recipe(Command& command, const std::vector<std::string>& arguments) {
  if (command.others.empty()) return;
  const std::string flag = "--config";
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const bool joined = arguments[i].starts_with(flag + "=");
    if (!joined && (arguments[i] != flag || i + 1 == arguments.size())) continue;
    const std::string recipe = joined ? arguments[i].substr(flag.size() + 1) : arguments[i + 1];
    const std::string text = recipe_text(recipe);
    if (takes(command, recipe, text)) return;
    for (const auto make : std::vector(command.others))
      if (takes(make(), recipe, text)) command = make();
    return;
  }
}

bool takes(Command command, const std::vector<std::string>& arguments) try {
  parse_arguments(command, arguments);
  return true;
} catch (const Error&) {
  return false;
}

// A recipe that this command does not understand may be another one's, whose line is then said:
// `arguments`, which hold no other recipe, where it takes them.
void load_recipe(Command& command, const std::string& recipe,
                 const std::vector<std::string>& arguments) {
  const std::string text = recipe_text(recipe);
  try {
    command.options.load_toml(text, recipe);
  } catch (const Error&) {
    for (const CommandEntry& other : commands())
      if (takes(other.make(), recipe, text))
        fail(ExitCode::usage, recipe, " is a recipe of sgmae ", other.name, "; write sgmae ",
             other.name, " ",
             takes(other.make(), arguments) ? joined(arguments) : "--config " + recipe);
    throw;
  }
}

}  // namespace

std::vector<std::string> choices_of(const OptionInfo& option) {
  std::vector<std::string> choices;
  if (option.type.find('|') == std::string::npos) return choices;
  std::istringstream words(option.type);
  for (std::string word; std::getline(words, word, '|');) choices.push_back(word);
  return choices;
}

ParsedArguments parse_arguments(Command& command, const std::vector<std::string>& arguments) {
  choose_by_recipe(command, arguments);
  ParsedArguments parsed;
  std::vector<std::string> recipes;
  std::vector<Assignment> sets, flags;
  const auto load_recipes = [&] {
    for (const std::string& recipe : recipes)
      load_recipe(command, recipe,
                  recipes.size() == 1 ? arguments : std::vector<std::string>{"--config", recipe});
  };

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
            "'; ", meant_by(command, argument));
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
      check(command.positional_help.empty() || (name != "checkpoint" && name != "data_path"),
            ExitCode::usage, argument,
            " is no option of this command, which takes paths alone: ", command.positional_help);
      load_recipes();  // the option may be of the command that they are for
      command.options.set(name, "", argument);  // throws, with "did you mean"
    }
  }
  if (parsed.help) return parsed;

  load_recipes();
  for (const std::vector<Assignment>* list : {&sets, &flags})
    for (const Assignment& a : *list) command.options.set(a.key, a.value, a.where);
  return parsed;
}

std::vector<std::string> resumed_run(const RunOptions& options) {
  const std::filesystem::path folder = options.resume, config = folder / "config.toml";
  if (!options.output_dir.empty() || !std::filesystem::exists(config)) return {};
  return {"--config", std::filesystem::absolute(config).string(), "--output_dir", folder.string()};
}

}  // namespace sgmae
