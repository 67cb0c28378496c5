// What a linear probe and a fine-tuning share as runs: the folder, the data, the test of what was
// trained, and how it is told.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>

#include "sgmae/eval/labelled_data.h"
#include "sgmae/eval/metrics.h"
#include "sgmae/io/tensorboard.h"
#include "sgmae/train/run_folder.h"

namespace sgmae {

// Files of the run's folder.
inline constexpr const char* best_classifier = "checkpoint-best.safetensors";
inline constexpr const char* last_classifier = "checkpoint-last.safetensors";
inline constexpr const char* last_state = "checkpoint-last.state.safetensors";

// open_labelled, with exactly `nb_classes` classes (0: any number). Throws Error(usage) for others.
LabelledSources open_classes(const LabelledData& data, std::int64_t nb_classes);

// Throws Error(usage) where the encoder of the file `path` has not the sizes that the name `model`
// stands for.
void check_model_name(const std::string& model, const VitConfig& encoder,
                      const std::filesystem::path& path);

// Whole steps of an epoch. Throws Error(usage) where there is none.
std::int64_t whole_steps(const Source& train, std::int64_t batch_size, std::int64_t accum_iter);

// Loader options for images of the model's size: batches of training images in random order.
LoaderOptions training_loader(const LabelledData& data, const VitConfig& config,
                              const Normalisation& normalisation, std::int64_t batch_size,
                              std::uint64_t seed);

// How a kind of run is told from others and called in messages.
struct RunKind {
  const char* section;  // that its config.toml alone has: "[probe]"
  const char* name;     // "linear probe"
  const char* word;     // "probe"
};

// Opens `root` for a run with the options `given`; `stored` declares the same at their defaults.
// Throws Error(usage) where it holds another run, cannot be written, or holds any with resume =
// none.
RunFolder open_classifier_folder(const std::string& root, const std::string& resume,
                                 Options& stored, const Options& given,
                                 const std::function<bool(const OptionInfo&)>& may_change,
                                 const RunKind& kind);

struct TestResult {
  ClassificationCounts counts;
  double loss = 0;  // mean cross-entropy
};

// A batch [B, C, H, W] to class scores [B, classes] fp32.
using ScoreBatch = std::function<at::Tensor(const Batch&)>;

// Tests `scores` on all images of `source`, read as `options` say. Throws StopRequested, and what
// ClassificationCounts::add throws.
TestResult test_classifier(const Source& source, const LoaderOptions& options, std::int64_t classes,
                           const ScoreBatch& scores);

// Sum over images of -log softmax(scores)[label].
double cross_entropy(const at::Tensor& scores, const std::vector<std::int64_t>& labels);

// "classes", "train_images", "test_images", "acc1", "acc5", "class_mean" of result.json.
nlohmann::ordered_json score_entries(const LabelledSources& sources,
                                     const ClassificationCounts& counts);

// "test_loss", "test_acc1", "test_acc5", "test_class_mean" of log.txt, under MAE's keys, in per
// cent.
nlohmann::ordered_json test_log_entries(const TestResult& test);

// Appends a line to log.txt, and those of `tags` that it has to the TensorBoard events.
void log_epoch(const RunFolder& folder, EventWriter& events, std::int64_t epoch,
               const nlohmann::ordered_json& entries, std::initializer_list<const char*> tags);

// Adds the tables of the test to `result`, writes it and its picture, and says where.
nlohmann::ordered_json report_test(const std::filesystem::path& folder,
                                   nlohmann::ordered_json result, const TestResult& test,
                                   const LabelledSources& sources);

}  // namespace sgmae
