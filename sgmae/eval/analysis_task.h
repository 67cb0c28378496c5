// The analysis of checkpoints on a data set, from files to numbers.
#pragma once

#include <ATen/core/Tensor.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "sgmae/base/options.h"
#include "sgmae/checkpoint/open_model.h"
#include "sgmae/data/source.h"
#include "sgmae/eval/survey.h"

namespace sgmae {

struct AnalysisTask {
  std::vector<std::string> checkpoints;
  OpenOptions open;  // of the checkpoints
  std::string data_path, data_root, split = "train";
  std::string objects;  // where they are marked (eval/objects.h); "": beside the images, or in them
  DataFormat data_format = DataFormat::automatic;  // of data_path
  std::string metrics = "all";                     // measures, separated by commas
  std::int64_t images = 64;                        // drawn at random; 0: all
  std::int64_t batch_size = 16;
  int num_workers = 2;
  bool squash = false;
  SurveyOptions survey;

  void declare(Options& options);
  void check() const;  // throws Error(usage)
};

struct AnalysedModel {
  std::string name, family;
  std::filesystem::path checkpoint;
  std::optional<std::int64_t> epoch;
  std::size_t last_of_run = 0;
  OpenedModel opened;

  const Encoder& encoder() const { return opened.encoder(); }
  const Mae* mae() const { return opened.mae(); }
};

// All models that paths name: a file, or a run folder with all checkpoints saved in it, oldest
// first. Files of one folder are one run. Throws Error(checkpoint).
std::vector<AnalysedModel> open_models(const std::vector<std::string>& paths, Precision precision,
                                       const OpenOptions& options = {});

// What the text names: "all", or measures separated by commas. Throws Error(usage), with "did you
// mean".
std::set<std::string> parse_measures(const std::string& text);

struct Analysis {
  nlohmann::ordered_json json;  // metrics.json, without figures
  at::Tensor examples;          // [F, C, H, W] the first images, as the first model wants them
  std::vector<std::string> example_names;  // [F]
  std::vector<Subject> subjects;           // the models, which must outlive this
  SurveyOptions options;                   // with the measures that were taken
};

// Measures all models in one pass over the data. With metrics = all, measures that a model or the
// data do not allow are left out with a note; a measure that was named must be possible. Returns
// at most `examples` images for figures.
Analysis run_analysis(const std::vector<AnalysedModel>& models, const AnalysisTask& task,
                      std::int64_t examples);

}  // namespace sgmae
