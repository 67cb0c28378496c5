// What a study file asks for: variants of one pre-training recipe, seeds, and how to judge them.
//
//   [study]
//   title = "Does guidance help?"          # of the table
//   recipe = "caltech101_64_mae"           # base of every variant: a recipe's name or a TOML file
//   output_dir = "runs/study"
//   seeds = [0, 1, 2]
//   reference = "mae"                      # variant that the others are compared with
//   evaluate_epochs = [60, 120]            # epochs finished; without it the last
//
//   [options]                              # of `sgmae pretrain`, for every variant
//   epochs = 120
//
//   [finetune]                             # of `sgmae finetune`; without it nothing is fine-tuned
//   epochs = 50
//
//   [[variant]]
//   name = "mae"
//   mask_strategy = "random"
//
//   [[variant]]
//   name = "guided"
//   mask_strategy = "self_guided"
//   guide_start = 30
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sgmae/tasks/finetune.h"
#include "sgmae/tasks/pretrain_options.h"

namespace sgmae {

// Names of pre-training options and their values as text.
using OptionTexts = std::vector<std::pair<std::string, std::string>>;

struct StudyVariant {
  std::string name;
  OptionTexts options;
};

struct StudyFile {
  std::string title, recipe, output_dir, reference;
  std::vector<std::uint64_t> seeds;
  std::vector<std::int64_t> evaluate_epochs;  // rising; empty: the last of the run
  OptionTexts options;
  std::optional<OptionTexts> finetune;  // there: the last tested checkpoint is fine-tuned so
  std::vector<StudyVariant> variants;
  std::string where;  // the file, for messages
};

// Throws Error(usage), naming the line, for anything that is not as above: unknown keys, no seeds,
// the same variant or seed twice, a reference that is no variant.
StudyFile parse_study(const std::string& text, const std::string& where);

// The pre-training options of one cell: the recipe's text, then the study's options, then the
// variant's, then the seed. Throws Error(usage) for options that do not exist or do not fit.
PretrainOptions cell_options(const StudyFile& study, const StudyVariant& variant,
                             std::uint64_t seed, const std::string& recipe_text);

// The fine-tuning options of the study; what to begin from, data, folder and seed are the cell's,
// and so is where and how it is computed, unless [finetune] says otherwise. Throws Error(usage) for
// options that do not exist or do not fit.
FinetuneOptions finetune_options(const StudyFile& study, const ComputeOptions& compute);

}  // namespace sgmae
