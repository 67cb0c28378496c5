// sgmae study: variants of one pre-training recipe x seeds, trained, tested, compared.
#include "sgmae/study/study.h"

#include <memory>

#include "cli/command.h"
#include "sgmae/base/file.h"

namespace sgmae {
namespace {

// What depends on the machine and not on the question.
struct StudyArguments {
  std::string output_dir;
  LabelledData data;
  int threads = -1;
  LaunchOptions launch;

  void declare(Options& o) {
    data.declare(o);
    o.section("run");
    o.add("output_dir", output_dir, "folder of the study; empty: as the study file says");
    o.add("threads", threads, "threads of every training and test; negative: as the study says");
    launch.declare(o);
  }
};

nlohmann::ordered_json run_study(const StudyArguments& arguments,
                                 const std::vector<std::string>& files) {
  check(files.size() == 1, ExitCode::usage, "name one study file: sgmae study STUDY.toml");
  StudyFile study = parse_study(read_text(files[0]), files[0]);
  if (!arguments.output_dir.empty()) study.output_dir = arguments.output_dir;
  if (arguments.threads >= 0) {
    study.options.emplace_back("threads", std::to_string(arguments.threads));
    if (study.finetune) study.finetune->emplace_back("threads", std::to_string(arguments.threads));
  }
  return run_study(study, recipe_text(study.recipe), arguments.data);
}

}  // namespace

Command study_command() {
  const auto arguments = std::make_shared<StudyArguments>();
  Command command;
  arguments->declare(command.options);
  command.launch = &arguments->launch;
  command.positional_help = "STUDY.toml";
  command.run = [arguments](const std::vector<std::string>& files) {
    return run_study(*arguments, files);
  };
  return command;
}

}  // namespace sgmae
