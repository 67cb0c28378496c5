// What a training is of. The engine (train/engine.h) knows no more of pre-training, probing or
// fine-tuning than this; each is a file of tasks/.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "sgmae/data/loader.h"
#include "sgmae/train/clock.h"
#include "sgmae/train/learner.h"

namespace sgmae {

// What the draws of a batch are keyed by, beside the images' own positions.
struct StepPlace {
  std::uint64_t seed = 0;
  std::int64_t epoch = 0;
  std::int64_t batch = 0;  // of the epoch, over all processes
  double loss_scale = 1;   // what gradients are to be multiplied by: 1 / (accum_iter * processes)
  // For the backward pass of the model's own parameters: who waits for gradients that are final.
  // Empty where nobody does.
  GradientsReady ready = {};
};

// A step that is finished, in all processes, for those who learn from how it went or watch it.
struct StepDone {
  std::int64_t epoch = 0;  // the present one, from 0
  std::int64_t step = 0;   // steps finished of it
  double loss = 0;         // mean over the step's batches, in all processes
  bool applied = true;     // false: skipped by the guard
};

// What begins with an epoch.
struct EpochStart {
  bool save_now = false;               // what was made now belongs to the present weights
  bool losses_do_not_compare = false;  // with those of the epoch before: another kind of mask
  std::vector<std::string> news = {};  // sentences for people
};

struct EvaluationResult {
  std::string headline;            // "top-1", for messages
  double value = 0;                // the largest is the best checkpoint; a share, 0 .. 1
  nlohmann::ordered_json entries;  // for log.txt
};

// Names and values that are kept beside a model for training to go on.
struct TaskState {
  nlohmann::json json = nlohmann::json::object();
  NamedTensors tensors;
};

class TrainTask {
 public:
  virtual ~TrainTask() = default;

  // The model first; a task has it all its life. Their steps are taken after forward_backward.
  virtual std::vector<Learner*> learners() = 0;
  virtual at::Device device() const = 0;

  virtual const Source& training_images() const = 0;
  virtual LoaderOptions training_loader() const = 0;  // but for its seed, which the engine sets

  // Adds place.loss_scale times the gradients of the batch's mean loss, and returns that loss,
  // 0-dim on the model's device. The batch may be changed.
  virtual at::Tensor forward_backward(Batch& batch, const StepPlace& place) = 0;
  // Whether that is a collective of all processes: one that cannot read its images must then leave.
  virtual bool passes_are_collective() const { return false; }
  virtual void after_step(const StepDone&) {}

  // Before the first step of an epoch, also of one that begins a second time after a resume. May
  // throw StopRequested, and then leaves the task as it was.
  virtual EpochStart before_epoch(std::int64_t) { return {}; }
  // After the last step: entries for log.txt.
  virtual nlohmann::ordered_json after_epoch(std::int64_t) {
    return nlohmann::ordered_json::object();
  }

  // The test on whole images; `epochs` are finished. May throw StopRequested, and Error(diverged)
  // for scores that are not numbers. Nothing where a task has none.
  virtual std::optional<EvaluationResult> evaluate(std::int64_t epochs) = 0;
  // Whether the result of a run is that of an evaluation: the last epoch is then always evaluated,
  // and a finished run that is called again is so once more. Else there is one before training too.
  virtual bool ends_with_evaluation() const = 0;

  virtual void save_model(const std::filesystem::path& path, const TrainClock& clock) const = 0;
  // Weights of a model file that save_model wrote, where the state's tensors do not hold them.
  virtual void load_model(const std::filesystem::path&) {}
  virtual TaskState state() const { return {}; }  // asked of all processes at once
  // `json` is what state() gave, `tensors` at least its tensors. Throws Error, and
  // nlohmann::json::exception for what is damaged.
  virtual void restore(const nlohmann::json&, const TensorFile&) {}

  // Checkpoints that may not be removed, and what to do once others were: `left` can be resumed.
  virtual bool needs_checkpoint(const CheckpointName&) const { return false; }
  virtual void checkpoints_left(const std::vector<CheckpointName>&) {}

  // What the run is expected to take from here on, as a sentence; "" where nothing is known.
  virtual std::string expectation(const TrainClock&) { return ""; }

  // Facts for run.json; "model", "data" and, where it is there, "masks" are sentences for the
  // console too.
  virtual nlohmann::ordered_json facts() const = 0;
  virtual double flop_per_image() const = 0;  // of a step
};

}  // namespace sgmae
