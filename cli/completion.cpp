// sgmae completion: a script by which bash or zsh completes commands, options and their values.
#include <iostream>
#include <string>

#include "cli/command.h"
#include "cli/recipes.h"

namespace sgmae {
namespace {

std::string spaced(const std::vector<std::string>& words) {
  std::string all;
  for (const std::string& word : words) all += (all.empty() ? "" : " ") + word;
  return all;
}

// What follows a command: its options, those of them that take no value, its words, and the values
// that options may have.
std::string arm_of(const CommandEntry& entry) {
  const Command command = entry.make();
  std::vector<std::string> options{"--json", "--help"}, flags{"json", "help"};
  std::string values;
  if (command.takes_recipe) {
    options.insert(options.end(), {"--config", "--set"});
    values = "        config) values=$recipes files='!*.toml' ;;\n";
  }
  for (const OptionInfo& option : command.options.all()) {
    options.push_back("--" + option.name);
    if (option.is_flag) {
      options.push_back("--no_" + option.name);
      flags.insert(flags.end(), {option.name, "no_" + option.name});
    }
    if (const std::string choices = spaced(choices_of(option)); !choices.empty())
      values += str("        ", option.name, ") values='", choices, "' ;;\n");
  }
  return str("    ", entry.name, ")\n      options='", spaced(options), "'\n      flags=' ",
             spaced(flags), " '\n      words='", spaced(command.words),
             "'\n      positional=", command.positional_help.empty() ? "no" : "yes",
             values.empty() ? "" : "\n      case $option in\n" + values + "      esac",
             "\n      ;;\n");
}

// Of bash; zsh understands it by its bashcompinit. `option` is the one whose value is completed.
std::string function_text() {
  std::vector<std::string> names, recipes;
  std::string arms;
  for (const CommandEntry& entry : commands()) {
    names.emplace_back(entry.name);
    arms += arm_of(entry);
  }
  for (const auto& [name, text] : builtin_recipes()) recipes.push_back(name);
  return str(R"(_sgmae_words() {
  local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
  local command= option= word i options= flags= words= positional=no values= files=
  local recipes=')",
             spaced(recipes), R"('
  # bash splits --name=value in three
  if [[ $current == '=' ]]; then
    option=$before current=
  elif [[ $before == '=' ]]; then
    option=${COMP_WORDS[COMP_CWORD-2]}
  else
    option=$before
  fi
  [[ $option == --* ]] || option=
  option=${option#--}
  option=${option//-/_}
  for ((i = 1; i < COMP_CWORD; ++i)); do
    word=${COMP_WORDS[i]}
    if [[ $word == -- ]]; then
      command=  # launch … -- COMMAND
    elif [[ -z $command && $word != -* ]]; then
      command=$word
    fi
    [[ $word == -- && $i == $((COMP_CWORD - 1)) ]] && option=
  done
  COMPREPLY=()
  case $command in
    '')
      words=')",
             spaced(names), R"('
      [[ $current == -* ]] && words='--help --version'
      COMPREPLY=($(compgen -W "$words" -- "$current"))
      return
      ;;
)",
             arms, R"(    *) return ;;
  esac
  if [[ -n $values ]]; then
    COMPREPLY=($(compgen -W "$values" -- "$current"))
    [[ -z $files ]] || COMPREPLY+=($(compgen -f -X "$files" -- "$current"))
  elif [[ $current == -* ]]; then
    word=${current#--}
    COMPREPLY=($(compgen -W "$options" -- "--${word//-/_}"))
  elif [[ -z $option || $flags == *" $option "* ]]; then
    if [[ $positional == no ]]; then
      COMPREPLY=($(compgen -W "$options" -- "$current"))
    elif [[ ${COMP_WORDS[COMP_CWORD-1]} == "$command" ]]; then
      COMPREPLY=($(compgen -W "$words" -- "$current"))
    fi
  fi
}
)");
}

std::string bash_text() {
  return "# Completion of sgmae in bash, made by: sgmae completion bash\n" + function_text() +
         "complete -o bashdefault -o default -F _sgmae_words sgmae\n";
}

std::string zsh_text() {
  return "#compdef sgmae\n# Completion of sgmae in zsh, made by: sgmae completion zsh\n"
         "autoload -Uz +X bashcompinit && bashcompinit\n" +
         function_text() +
         "complete -o bashdefault -o default -F _sgmae_words sgmae\n"
         "[[ $funcstack[1] != _sgmae ]] || _bash_complete -o bashdefault -o default -F "
         "_sgmae_words\n";
}

}  // namespace

Command completion_command() {
  Command command;
  command.positional_help = "bash | zsh";
  command.words = {"bash", "zsh"};
  command.run = [](const std::vector<std::string>& shells) {
    check(shells.size() == 1 && (shells[0] == "bash" || shells[0] == "zsh"), ExitCode::usage,
          "name the shell: sgmae completion bash, or sgmae completion zsh");
    std::cout << (shells[0] == "bash" ? bash_text() : zsh_text());
    return nlohmann::ordered_json();
  };
  return command;
}

}  // namespace sgmae
