// Reads the folder of a run (train/run_folder.h), whatever of it there is: pre-training, linear
// probing, fine-tuning or a k-NN test. Nothing in it is trusted: what cannot be read is named in
// `notes` and left out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace sgmae {

struct Setting {
  std::string section, name, value;  // texts as they are, numbers as TOML
};

// log.txt: one JSON object per epoch. In ascending order of epoch; where an epoch was run twice
// (killed and continued), its last line counts.
struct RunLog {
  std::vector<double>
      epoch;  // epochs finished: one more than the file's "epoch", which begins at 0
  std::vector<std::string> keys;                         // of numbers, in order of appearance
  std::map<std::string, std::vector<double>> column;     // by key, NaN where the epoch has none
  std::map<std::string, std::vector<double>> last_list;  // lists of numbers of the last epoch
  std::int64_t repeated = 0;                             // lines that a later one replaced
  std::int64_t unreadable = 0;                           // lines that are no JSON object

  bool has(const std::string& key) const { return column.contains(key); }
  double last(const std::string& key) const;  // the last number there is, or NaN
  double largest(const std::string& key) const;
  double epoch_of(const std::string& key, double value) const;  // the last that has it, or NaN
};

// What a run says of itself and what happened to it: run.json and events.jsonl, and for runs of
// older versions the sentences of train.log. Warnings are train.log's.
struct RunMessages {
  std::string kind;  // the command, e.g. "linprobe"; "" where it is not said
  std::string model, data;
  std::optional<std::int64_t> images_per_epoch;
  std::optional<double> untrained_knn;  // accuracy before the first step
  std::string began, finished;          // as "2026-11-28T13:09:23Z"; "" where it is not said
  std::string begun_from;               // another run's checkpoint; "" for none
  // Calling a finished run again is no restart, nor does it finish again.
  std::int64_t continued = 0, rollbacks = 0, skipped = 0;
  std::vector<std::string> events;  // warnings, restarts, guidance; the first most_events
  std::int64_t further_events = 0;
  static constexpr std::size_t most_events = 100;

  void tell(std::string event);  // adds it to the events
};

// What the run, or an evaluation kept in a folder of it, came to.
struct RunResult {
  std::string file;                   // relative to the run, e.g. linprobe/result.json
  nlohmann::ordered_json content;     // of an evaluation that goes on: the last test of its log.txt
  std::string kind = {};              // as in RunMessages
  std::string progress = {};          // "after epoch 3 of 90"; "" for a finished one
  std::filesystem::path report = {};  // an evaluation's own page; empty: none
};

struct RunRecord {
  std::filesystem::path folder;
  std::string name;                    // of the folder; made unique by unique_names
  std::vector<Setting> settings;       // config.toml, in its order
  std::string config_text;             // config.toml as it stands
  nlohmann::ordered_json environment;  // env.json, or an empty object
  RunLog log;
  RunMessages messages;
  std::vector<RunResult> results;                   // here and one folder down
  std::vector<std::filesystem::path> measurements;  // metrics.json of `sgmae analyze`, likewise
  std::vector<std::filesystem::path> figures;       // figures/*.png, likewise; 9 before 10
  std::vector<std::string> notes;

  // The value of an option, or "".
  std::string setting(const std::string& name) const;
  std::string environment_value(const std::string& key) const;  // of env.json, likewise
  // "after epoch 3 of 90"; "" before the first has finished.
  std::string progress() const;
};

// Throws Error(data) when `folder` is no folder or holds nothing of a run.
RunRecord read_run(const std::filesystem::path& folder);

// Names that tell the runs apart: the folder's, with as many parents before it as needed.
void unique_names(std::vector<RunRecord>& runs);

// Lines of JSON objects, as above. Python's NaN and Infinity are understood.
RunLog parse_log(const std::string& text);

// Lines of events.jsonl: what happened, but for what only run.json says.
RunMessages parse_events(const std::string& text);

}  // namespace sgmae
