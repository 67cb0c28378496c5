// How a command of the program is put together: declare options, then run with them set.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "sgmae/base/options.h"
#include "sgmae/parallel/launch_options.h"
#include "sgmae/train/options.h"

namespace sgmae {

// What a command's options are read into, and what it then does.
struct Command {
  Options options;
  std::string positional_help;     // e.g. "IMAGES…"; empty: the command takes none
  std::vector<std::string> words;  // that the first positional argument may be, where it is a word
  bool takes_recipe = false;       // --config and --set are understood
  // What the command is in place of this where the recipe is one that they understand and this does
  // not.
  std::vector<Command (*)()> others = {};
  // How it shares its work among processes; null: it runs in one.
  const LaunchOptions* launch = nullptr;
  // Looked at once the options are set: arguments that belong before the given ones, for what those
  // leave open. The command is then made anew with all of them.
  std::function<std::vector<std::string>()> leading = {};
  // Gets the positional arguments; returns what --json prints.
  std::function<nlohmann::ordered_json(const std::vector<std::string>&)> run;
};

// A command that fails and has something to report nevertheless: --json prints `report`.
struct ReportedFailure : Error {
  ReportedFailure(ExitCode code, const std::string& message, nlohmann::ordered_json json)
      : Error(code, message), report(std::move(json)) {}
  nlohmann::ordered_json report;
};

// A command that fails where others have said why.
struct SilentFailure {
  int code;
};

struct Example {
  const char* arguments;  // behind "sgmae "
  const char* meaning;
};

struct CommandEntry {
  const char* purpose;  // under which it is listed
  const char* name;
  const char* summary;
  Command (*make)();
  std::vector<Example> examples;
};

// Every command, in the order of docs/options.md (commands.cpp).
const std::vector<CommandEntry>& commands();

// Throws Error(usage), with "did you mean".
const CommandEntry& command_named(const std::string& name);

Command pretrain_command();
Command knn_command();
Command linprobe_command();
Command launch_command();
Command estimate_command();
Command estimate_finetune_command();  // of a recipe of finetune
Command estimate_detect_command();    // of detect
Command estimate_segment_command();   // of segment
Command finetune_command();
Command detect_command();
Command segment_command();
Command study_command();
Command mask_command();
Command reconstruct_command();
Command forward_command();
Command coco_eval_command();
Command data_command();
Command analyze_command();
Command report_command();
Command embed_command();
Command inspect_command();
Command convert_command();
Command export_command();
Command search_command();
Command duplicates_command();
Command recipes_command();
Command options_command();
Command help_command();
Command completion_command();
Command licences_command();

// Of a training that is to go on in the folder which --resume names, no other being named: that
// folder, and the options of its config.toml. Else nothing.
std::vector<std::string> resumed_run(const RunOptions& options);

// A recipe's text by name or path. Throws Error(usage), with "did you mean".
std::string recipe_text(const std::string& name_or_path);

// a, b and c of an option of type "a|b|c"; of another type none.
std::vector<std::string> choices_of(const OptionInfo& option);

// Sets the command's options from arguments, in the order recipe, --set, flags; the rest are the
// positional arguments. `help` and `json` say whether those flags were given.
struct ParsedArguments {
  std::vector<std::string> positional;
  bool help = false, json = false;
};
ParsedArguments parse_arguments(Command& command, const std::vector<std::string>& arguments);

// The text of `sgmae <command> --help`, and that of `sgmae --help`; at most 80 columns.
std::string help_text(const CommandEntry& entry, const Command& command);
std::string overview();

}  // namespace sgmae
