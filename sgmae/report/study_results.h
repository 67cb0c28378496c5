// The folder of a study (study/study.h) on a page: its table in words, curves over epochs, and
// which of its runs to show beside it.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sgmae/report/run_reader.h"

namespace sgmae {

struct StudyRecord {
  std::filesystem::path folder;
  std::string name;               // of the folder
  nlohmann::ordered_json table;   // table.json, or an empty object before the first test
  std::vector<std::string> runs;  // names of the runs shown for it
  std::vector<std::string> notes;
};

// Whether a folder is a study's: it has cells/ and is no run itself.
bool is_study(const std::filesystem::path& folder);

// Reads it, and its runs into `runs`: of each variant that of its first seed. Throws Error(data)
// where no run has begun.
StudyRecord read_study(const std::filesystem::path& folder, std::vector<RunRecord>& runs);

// Mean over seeds and difference to the reference of every test, a group of rows for each number of
// epochs; curves where there are several.
std::string study_results(const StudyRecord& study);

}  // namespace sgmae
