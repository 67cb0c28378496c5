#include "sgmae/train/run_folder.h"

#include <torch/version.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <fstream>
#include <sstream>
#include <thread>

#include "sgmae/base/file.h"
#include "sgmae/base/host.h"
#include "sgmae/base/instruction_set.h"
#include "sgmae/base/json.h"
#include "sgmae/base/log.h"
#include "sgmae/base/version.h"
#include "sgmae/parallel/process_group.h"

namespace sgmae {
namespace {

using nlohmann::ordered_json;
namespace fs = std::filesystem;

bool holds_files(const fs::path& folder) {
  return fs::is_directory(folder) && !fs::is_empty(folder);
}

void require_writable(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  check(!error && ::access(folder.c_str(), W_OK) == 0, ExitCode::usage,
        "cannot write to the folder ", folder.string(),
        error ? ": " + error.message() : std::string(": permission denied"),
        "; choose another with --output_dir");
}

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  return "unknown";
}

// What an env.json says that is there already: a run that goes on was started when it began.
std::string first_start(const fs::path& environment) {
  if (!fs::exists(environment)) return utc_now();
  const auto there = nlohmann::json::parse(read_text(environment), nullptr, false);
  return json_value<std::string>(there, "started").value_or(utc_now());
}

}  // namespace

namespace {

// What every kind of run has.
std::int64_t epochs_in(const Options& options) {
  const auto found = std::find_if(options.all().begin(), options.all().end(),
                                  [](const OptionInfo& option) { return option.name == "epochs"; });
  SGMAE_ASSERT(found != options.all().end());
  return std::stoll(found->print());
}

void take(RunFolder& folder, const RunOptions& options, Options& stored, const Options& given,
          const RunKind& kind) {
  check(!fs::exists(folder.root) || fs::is_directory(folder.root), ExitCode::usage,
        folder.root.string(), " is a file; name a folder with --output_dir");
  require_writable(folder.root);
  folder.lock = std::make_shared<const FolderLock>(
      folder.root, str("process ", ::getpid(), " on ", host_name(), " (sgmae ", kind.command,
                       ", since ", utc_now(), ")"));
  folder.existed = fs::exists(folder.config());
  if (folder.existed) {
    check(options.resume != "none", ExitCode::usage, folder.root.string(),
          " already contains a run and resume is none; choose another --output_dir");
    check(read_text(folder.config()).find(kind.section) != std::string::npos, ExitCode::usage,
          folder.root.string(), " contains a run that is not a ", kind.name,
          "; choose another --output_dir");
    const auto may_differ = [&](const OptionInfo& option) {
      const bool of_length = option.name == "epochs" || option.name == "warmup_epochs";
      return option.changeable || (of_length && epochs_in(given) > epochs_in(stored));
    };
    const std::string other = config_difference(folder.config(), stored, given, may_differ);
    check(other.empty(), ExitCode::usage, folder.root.string(), " contains a different ", kind.name,
          ": ", other, "; choose another --output_dir, or give the options of ",
          folder.config().string());
  } else {
    check(!fs::exists(folder.log()) && !holds_files(folder.checkpoints()), ExitCode::usage,
          folder.root.string(),
          " contains a run without its config.toml; choose another --output_dir");
  }
  remove_unfinished_files(folder.root);
  for (const char* part : kind.parts) {
    require_writable(folder.root / part);
    remove_unfinished_files(folder.root / part);
  }
}

}  // namespace

RunFolder open_run_folder(const RunOptions& options, Options& stored, const Options& given,
                          const RunKind& kind) {
  RunFolder folder{fs::path(options.output_dir)};
  processes().leader([&] { take(folder, options, stored, given, kind); });
  folder.existed = processes().of_leader(folder.existed ? "existed" : "") == "existed";
  return folder;
}

std::string config_difference(const fs::path& config, Options& stored, const Options& given,
                              const MayDiffer& may_differ) {
  stored.load_toml(read_text(config), config.string());
  return options_difference(stored, given, may_differ);
}

void describe_run(const RunFolder& folder, const std::string& config, std::uint64_t seed,
                  const nlohmann::json& more_environment) {
  write_file(folder.config(), config);

  ordered_json environment{{"sgmae", version},
                           {"commit", build_commit},
                           {"torch", TORCH_VERSION},
                           {"compiler", __VERSION__},
                           {"host", host_name()},
                           {"processor", processor_name()},
                           {"instructions", name_of(instruction_set())},
                           {"processors", std::thread::hardware_concurrency()},
                           {"seed", seed},
                           {"started", first_start(folder.environment())}};
  for (const auto& [key, value] : more_environment.items()) environment[key] = value;
  write_file(folder.environment(), environment.dump(2) + "\n");
}

std::string utc_now() {
  return utc_text(std::time(nullptr));
}

std::string utc_text(std::time_t time) {
  std::tm parts{};
  gmtime_r(&time, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

void append_log(const fs::path& log, const ordered_json& entries) {
  try {
    append_file(log, json_text(entries) + "\n");
  } catch (const Error& error) {
    warn(error.what(), "; one line of it is lost");
  }
}

std::vector<ordered_json> read_log(const fs::path& log) {
  std::vector<ordered_json> entries;
  std::istringstream lines(read_text(log));
  for (std::string line; std::getline(lines, line);) {
    ordered_json entry = ordered_json::parse(line, nullptr, false);
    if (entry.is_object()) entries.push_back(std::move(entry));
  }
  const auto epoch_of = [](const ordered_json& entry) {
    return json_value<std::int64_t>(entry, "epoch");
  };
  const bool from_0 = !entries.empty() && epoch_of(entries.front()) == 0;
  for (ordered_json& entry : entries)
    if (const auto epoch = epoch_of(entry); from_0 && epoch) entry["epoch"] = *epoch + 1;
  return entries;
}

void trim_log(const fs::path& log, std::int64_t epoch) {
  if (!fs::exists(log)) return;
  std::string kept;
  for (const ordered_json& entry : read_log(log))
    if (json_value<std::int64_t>(entry, "epoch").value_or(epoch + 1) <= epoch)
      kept += json_text(entry) + "\n";
  write_file(log, kept);
}

}  // namespace sgmae
