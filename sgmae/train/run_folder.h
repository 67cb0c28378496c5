// The folder of a run:
//
//   config.toml    every option as resolved       checkpoints/  checkpoint_store.h
//   env.json       versions, machine, seed        maps/         stored relevance maps
//   run.json       facts: model, images, steps    figures/      pictures
//   log.txt        one JSON object per epoch      events.out.tfevents.*
//   events.jsonl   what happened, as JSON         train.log     what was printed
//   .lock          who trains in it
#pragma once

#include <ctime>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sgmae/base/folder_lock.h"
#include "sgmae/train/options.h"

namespace sgmae {

struct RunFolder {
  std::filesystem::path root;
  bool existed = false;                              // it held this very run already
  std::shared_ptr<const FolderLock> lock = nullptr;  // of an open one: nobody else trains in it

  std::filesystem::path config() const { return root / "config.toml"; }
  std::filesystem::path environment() const { return root / "env.json"; }
  std::filesystem::path facts() const { return root / "run.json"; }
  std::filesystem::path log() const { return root / "log.txt"; }
  std::filesystem::path happenings() const { return root / "events.jsonl"; }
  std::filesystem::path messages() const { return root / "train.log"; }
  std::filesystem::path checkpoints() const { return root / "checkpoints"; }
  std::filesystem::path maps() const { return root / "maps"; }
  std::filesystem::path figures() const { return root / "figures"; }
};

// How a kind of run is told from others and called in messages.
struct RunKind {
  const char* command;             // "pretrain"
  const char* name;                // "pre-training run"
  const char* section;             // that its config.toml alone has: "[mask]"
  std::vector<const char*> parts;  // folders that it fills
};

// Creates `options.output_dir` with its parts, or opens it when it holds a run of this kind with
// the same options (all but those that may change on resume): `given` declares the present ones,
// `stored` the same at their defaults, which stand for what config.toml lacks. What a killed run
// was writing there is removed. Of several processes all call this; process 0 does it, and has the
// lock. Throws Error(usage) for a folder of a different run, one that
// cannot be written or in which another process trains, and with resume = none for any folder that
// holds a run.
RunFolder open_run_folder(const RunOptions& options, Options& stored, const Options& given,
                          const RunKind& kind);
template <class O>
RunFolder open_run_folder(O options, const RunKind& kind) {
  O defaults;
  Options stored = declared(defaults);
  return open_run_folder(options, stored, declared(options), kind);
}

// options_difference where `there` is a TOML file; `stored` as above.
std::string config_difference(const std::filesystem::path& config, Options& stored,
                              const Options& given, const MayDiffer& may_differ);
// The difference that keeps a run from going on.
inline bool may_change_on_resume(const OptionInfo& option) {
  return option.changeable;
}

// Writes config.toml and env.json, in which "started" stays that of the first time. Separate from
// opening so that a refused or failed start (bad data, bad checkpoint) leaves no trace that would
// stop the next one.
void describe_run(const RunFolder& folder, const std::string& config, std::uint64_t seed,
                  const nlohmann::json& more_environment);

// Appends a line to log.txt or events.jsonl. Where it cannot be written (full disk) that is warned
// of and the line left out: training does not depend on it.
void append_log(const std::filesystem::path& log, const nlohmann::ordered_json& entries);

// The lines of log.txt that are JSON objects, in which "epoch" counts the epochs finished; older
// versions wrote it as MAE does, from 0.
std::vector<nlohmann::ordered_json> read_log(const std::filesystem::path& log);

// Drops the lines of log.txt after `epoch` epochs: they are about to be made again.
void trim_log(const std::filesystem::path& log, std::int64_t epoch);

std::string utc_text(std::time_t time);  // "2026-11-28T13:09:23Z"
std::string utc_now();

}  // namespace sgmae
