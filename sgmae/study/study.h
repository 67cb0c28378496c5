// A study: variants of one pre-training recipe x seeds, trained, tested and compared.
//
//   output_dir/cells/VARIANT-sSEED/               an ordinary run folder, and in it
//     prefixT/epoch-….{,state.}safetensors   where others branch off after T epochs
//     evaluation/epoch-E.json                     what the tests of one checkpoint found
//     evaluation/finetune-E.json, finetune-E/     the same after fine-tuning, and that run's folder
//   output_dir/table.md, table.json               made anew after every test
//
// Variants that differ only in how masks are guided are the same run until guidance begins. Of
// these the one that begins last (plain MAE never does) is trained from the start, and the others
// go on from its checkpoint: bit for bit what they would have come to on their own. What was found
// of an epoch that they share is found in the trunk's folder.
//
// A study that is called again goes on where it stopped: trained runs are not trained again, tested
// checkpoints not tested again; results of other options than the present ones are refused. A
// finished run folder of the same options may be put in place of a cell, and a checkpoint with its
// state into its prefixT. Several processes share every training and test, one after the other.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "sgmae/eval/labelled_data.h"
#include "sgmae/study/study_file.h"
#include "sgmae/tasks/pretrain.h"

namespace sgmae {

struct StudyCell {
  std::string variant;
  std::uint64_t seed = 0;
  PretrainOptions options;
  std::optional<std::size_t> trunk;  // cell from which this one branches off
  std::int64_t branch_epoch = 0;     // epochs that it shares with it
};

// All cells, those of a seed together and trunks before their branches. Throws Error(usage) for
// options that do not fit.
std::vector<StudyCell> plan_study(const StudyFile& study, const std::string& recipe_text);

// Epochs of a run before its masks can differ from random ones: all for random masks, the start of
// guidance where it is given, 0 where it is found during the run.
std::int64_t random_epochs(const PretrainOptions& options);

// The first option, guidance and what tells of a run or where it lies aside, in which two variants
// differ, as "epochs is 100 there, 200 here"; "" when they are the same run until guidance begins.
std::string prefix_difference(const PretrainOptions& there, const PretrainOptions& here);

struct StudyHooks {
  // Passed on to every training.
  std::function<void(const StudyCell&, const StepDone&)> after_step;
  // After a checkpoint was tested.
  std::function<void(const StudyCell&, std::int64_t epoch)> after_test;
};

// Does what is left to do, and returns what table.json holds. Trainings and tests read `data`, and
// what it leaves open as the study says (study_data.h). Throws what pretrain() throws; after an
// interruption the same call goes on.
nlohmann::ordered_json run_study(StudyFile study, const std::string& recipe_text, LabelledData data,
                                 const StudyHooks& hooks = {});

}  // namespace sgmae
