// What a linear probe and a fine-tuning share: options, data, the test of what was trained, and how
// it is told. Their run folders hold, beside what every run leaves (train/run_folder.h):
//
//   checkpoint-best.safetensors   the classifier after its best epoch
//   checkpoint-last.safetensors   the same after the last, with .state.safetensors beside it
//   result.json, figures/confusion.png
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "sgmae/checkpoint/model_file.h"
#include "sgmae/eval/classifier_file.h"
#include "sgmae/eval/labelled_data.h"
#include "sgmae/eval/metrics.h"
#include "sgmae/parallel/launch_options.h"
#include "sgmae/train/compute.h"
#include "sgmae/train/engine.h"
#include "sgmae/train/options.h"
#include "sgmae/train/task.h"

namespace sgmae {

struct ClassifierOptions : OptimOptions, RunOptions, ComputeOptions {
  std::string checkpoint;       // run folder or model file to begin from, or to test with eval
  std::int64_t nb_classes = 0;  // 0: as many as the training images have
  bool cls_token = false;       // classify the class token, by MAE's flag
  LabelledData data;
  OpenOptions open;   // of the checkpoint
  bool eval = false;  // only test the classifier of `checkpoint`
  LaunchOptions launch;
  bool dist_eval = false;  // accepted for MAE's sake

 protected:
  void declare_checkpoint(Options& options, const char* meaning);
  OptionInfo& declare_classes(Options& options);
  void declare_run(Options& options);  // sections [run] and [launch]
  void check() const;
};

// open_labelled, with exactly `nb_classes` classes (0: any number). Throws Error(usage) for others.
LabelledSources open_classes(const LabelledData& data, std::int64_t nb_classes);

// open_tested for a classifier, which must have `nb_classes` classes (0: any number).
LabelledSources open_test_images(const LabelledData& data, const TrainedClasses& classes,
                                 std::int64_t nb_classes);

// Throws Error(usage) where the encoder of the file `path` has not the sizes that the name `model`
// stands for.
void check_model_name(const std::string& model, const VitConfig& encoder,
                      const std::filesystem::path& path);

// The sizes of an encoder from scratch; 0: by the name, of which "" is ViT-B/16.
struct EncoderSizes {
  const std::string& model;
  std::int64_t patch_size, dim, depth, heads;
};

// The encoder that a training begins from: the checkpoint's, of which no more than the name may be
// said (Error(usage)), or one of these sizes for images of so many channels.
VitConfig chosen_encoder(const EncoderSizes& sizes, const std::optional<Pretrained>& checkpoint,
                         std::int64_t channels);

// Of an interrupted command that keeps no state.
inline constexpr const char* nothing_written =
    "interrupted; nothing was written, and the same command starts from the beginning";

struct TestResult {
  ClassificationCounts counts;
  double loss = 0;              // mean cross-entropy
  std::int64_t unreadable = 0;  // test images that could not be read and count nowhere
};

// A batch [B, C, H, W] to class scores [B, classes] fp32.
using ScoreBatch = std::function<at::Tensor(const Batch&)>;

// Tests `scores` on the images of `source`, read as `options` say. Throws StopRequested, and what
// ClassificationCounts::add throws.
TestResult test_classifier(const Source& source, const LoaderOptions& options, std::int64_t classes,
                           const ScoreBatch& scores);

// Sum over images of -log softmax(scores)[label].
double cross_entropy(const at::Tensor& scores, const std::vector<std::int64_t>& labels);

// "classes", "train_images" (where there are any), "test_images", "unreadable_test_images", "acc1",
// "acc5", "class_mean", "test_loss" of result.json.
nlohmann::ordered_json score_entries(const LabelledSources& sources, const TestResult& test);

// "test_loss", "test_acc1", "test_acc5", "test_class_mean" of log.txt, under MAE's keys, in per
// cent, and "unreadable_test_images".
nlohmann::ordered_json test_log_entries(const TestResult& test);

// Adds the tables of the test to `result`, writes it and its picture, and says where.
nlohmann::ordered_json report_test(const std::filesystem::path& folder,
                                   nlohmann::ordered_json result, const TestResult& test,
                                   const LabelledSources& sources);

// Training on labelled images, tested on whole ones.
class ClassifierTask : public TrainTask {
 public:
  explicit ClassifierTask(const LabelledSources& sources) : sources_(sources) {}

  const Source& training_images() const override { return *sources_.train; }
  std::optional<EvaluationResult> evaluate(std::int64_t epochs) override;
  bool ends_with_evaluation() const override { return true; }

 protected:
  virtual TestResult test() const = 0;
  // Training images as every classifier takes them, before its own augmentation.
  LoaderOptions plain_loader(const ClassifierOptions& options, const VitConfig& config,
                             const Normalisation& normalisation) const;
  // "48 training and 18 test images of 3 classes"
  std::string data_sentence() const;

  const LabelledSources& sources_;
  std::optional<TestResult> last_test_;

  friend nlohmann::ordered_json train_classifier(ClassifierTask&, const ClassifierOptions&,
                                                 const std::string&, const RunKind&,
                                                 const RunFolder&, const EngineHooks&,
                                                 nlohmann::ordered_json);
};

// Runs the task in `folder` and returns what result.json holds: `summary`, scores, "epochs",
// "best_acc1", "best_epoch", "skipped_steps", "rollbacks", the tables of the last test.
nlohmann::ordered_json train_classifier(ClassifierTask& task, const ClassifierOptions& options,
                                        const std::string& config, const RunKind& kind,
                                        const RunFolder& folder, const EngineHooks& hooks,
                                        nlohmann::ordered_json summary);

}  // namespace sgmae
