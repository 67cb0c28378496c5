// The folder of a run:
//
//   config.toml   every option as resolved      checkpoints/  checkpoint.h
//   env.json      versions, machine, seed       maps/         stored relevance maps
//   log.txt       one JSON object per epoch     figures/      mask sheets
//   train.log     what was printed              events.out.tfevents.*
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "sgmae/train/options.h"

namespace sgmae {

struct RunFolder {
  std::filesystem::path root;
  bool existed = false;  // it held this very run already

  std::filesystem::path config() const { return root / "config.toml"; }
  std::filesystem::path environment() const { return root / "env.json"; }
  std::filesystem::path log() const { return root / "log.txt"; }
  std::filesystem::path messages() const { return root / "train.log"; }
  std::filesystem::path checkpoints() const { return root / "checkpoints"; }
  std::filesystem::path maps() const { return root / "maps"; }
  std::filesystem::path figures() const { return root / "figures"; }
};

// Creates options.output_dir, or opens it when it holds a run with the same options (all but those
// of may_change_on_resume). Throws Error(usage) for a folder of a different run, one that cannot be
// written, and with resume = none for any folder that holds a run.
RunFolder open_run_folder(const PretrainOptions& options);

// The first option whose value differs between two declarations of the same options, as "epochs is
// 100 there, 200 here"; "" when there is none. What `may_differ` accepts is not compared.
std::string options_difference(const Options& there, const Options& here,
                               const std::function<bool(const OptionInfo&)>& may_differ);

// The same where `there` is a TOML file. `stored` declares the options at their defaults, which
// stand for what the file lacks.
std::string config_difference(const std::filesystem::path& config, Options& stored,
                              const Options& given,
                              const std::function<bool(const OptionInfo&)>& may_differ);

// Writes config.toml and env.json. Separate from opening so that a refused or failed start (bad
// data, bad checkpoint) leaves no trace that would stop the next one.
void describe_run(const RunFolder& folder, const PretrainOptions& options,
                  const nlohmann::json& more_environment);
void describe_run(const RunFolder& folder, const Options& options, std::uint64_t seed,
                  const nlohmann::json& more_environment);

// Appends a line to log.txt. Where it cannot be written (full disk) that is warned of and the line
// left out: training does not depend on it.
void append_log(const std::filesystem::path& log, const nlohmann::ordered_json& entries);

// Drops the lines of log.txt from `epoch` on: they are about to be made again.
void trim_log(const std::filesystem::path& log, std::int64_t epoch);

}  // namespace sgmae
