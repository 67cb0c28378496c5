// A masking strategy turns batches into MaskPlans. It may make maps, learn from how steps went, own
// networks and tensors, and is saved, restored and rolled back with the run. A new one is a file of
// this folder with its options and a line in registry.cpp.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <vector>

#include "sgmae/base/options.h"
#include "sgmae/base/rng.h"
#include "sgmae/data/batch.h"
#include "sgmae/data/loader.h"
#include "sgmae/mask/exploitation_probe.h"
#include "sgmae/nn/mae.h"
#include "sgmae/nn/mask_plan.h"
#include "sgmae/train/compute.h"
#include "sgmae/train/estimate.h"
#include "sgmae/train/options.h"
#include "sgmae/train/run_folder.h"
#include "sgmae/train/task.h"

namespace sgmae {

// How a planned batch went, on the model's device.
struct MaskFeedback {
  const Batch& batch;
  const MaskPlan& plan;
  at::Tensor patch_loss;  // [B, n_masked] fp32, in the plan's order
  at::Tensor dpixels;  // [B, C, H, W] fp32, gradient of the mean loss times loss_scale; undefined
                       // unless the strategy wants it
  double loss_scale;   // of the step's gradients: 1 / accum_iter
};

class MaskStrategy {
 public:
  virtual ~MaskStrategy() = default;

  // `epoch` counts from 0. Must depend only on the batch, the epoch and the strategy's own state.
  virtual MaskPlan plan(const Batch& batch, std::int64_t epoch) = 0;

  // Who reads the decoder's input in the step of a planned batch, beside the decoder: adds the
  // gradients of the strategy's own learners and returns loss_scale times that of the input.
  virtual DecoderInputReader decoder_input_reader(const MaskPlan&,
                                                  [[maybe_unused]] double loss_scale) {
    return {};
  }

  // Called after each batch's backward pass: adds the gradients of the strategy's own learners,
  // which step with the model's.
  virtual bool wants_pixel_gradient() const { return false; }
  virtual void learn(const MaskFeedback&) {}
  virtual std::vector<Learner*> learners() { return {}; }

  // As TrainTask's.
  virtual void after_step(const StepDone&) {}
  virtual EpochStart before_epoch(std::int64_t) { return {}; }
  virtual nlohmann::ordered_json after_epoch(std::int64_t) {
    return nlohmann::ordered_json::object();
  }
  virtual TaskState state() const { return {}; }
  virtual void restore(const nlohmann::json&, const TensorFile&) {}
  virtual bool needs_checkpoint(const CheckpointName&) const { return false; }
  virtual void checkpoints_left(const std::vector<CheckpointName>&) {}

  // What a model file says of the masks beside their options (ModelInfo::guide); null for masks
  // that owe nothing to the model.
  virtual nlohmann::json description() const { return nullptr; }
  virtual at::Tensor position_mean() const { return {}; }  // ModelInfo::position_mean

  // For the result of a run: the epoch from which masks were informed, and why then.
  virtual std::optional<std::int64_t> guide_start() const { return std::nullopt; }
  virtual std::string guide_reason() const { return ""; }
};

// What a strategy is made for. All references outlive it.
struct MaskContext {
  const Mae& model;
  const Source& source;
  LoaderOptions loader;  // of training
  RunFolder folder;
  double mask_ratio = 0.75;
  std::int64_t epochs = 400;  // of the run
  std::uint64_t seed = 0;
  OptimOptions optim;  // of the run, for learners of the strategy's own
  ComputeOptions compute;
  // The model that the run begins with is trained already, and so is its decoder.
  bool trained = false, trained_decoder = false;
  const ExploitationProbe* probe = nullptr;  // null where the exploitation rate is not measured
};

// The options of one strategy, and the strategy itself from them.
class MaskStrategyOptions {
 public:
  virtual ~MaskStrategyOptions() = default;
  virtual std::unique_ptr<MaskStrategyOptions> clone() const = 0;
  virtual void declare(Options&) {}  // in section [mask]
  // Throws Error(usage). `probed`: the exploitation rate is measured.
  virtual void check([[maybe_unused]] bool probed) const {}
  // Epochs of a run of `epochs` that are certainly as with random masks.
  virtual std::int64_t random_epochs(std::int64_t epochs) const = 0;
  // Share of the patches that are thrown (MaskPlan::n_thrown).
  virtual double thrown_ratio() const { return 0; }
  // In a run of `epochs`.
  virtual MaskCost cost(const MaeConfig&, [[maybe_unused]] std::int64_t n_visible,
                        [[maybe_unused]] std::int64_t epochs) const {
    return {};
  }
  // Throws Error(usage) where options do not fit the model.
  virtual std::unique_ptr<MaskStrategy> make(const MaskContext& context) const = 0;
};

// Writes an order [N] by ascending uniform noise (MAE's random masking; every order is as likely).
void random_order(Rng rng, std::span<std::int64_t> order);

// Random orders for the images at positions `index` of the data set, each keyed by (seed, epoch,
// position). Throws Error(usage) unless something stays visible and something is masked.
MaskPlan random_plan(const std::vector<std::int64_t>& index, std::int64_t n_patches,
                     std::int64_t n_visible, std::uint64_t seed, std::int64_t epoch);

// MAE's masking.
class RandomMask : public MaskStrategy {
 public:
  RandomMask(std::int64_t n_patches, double mask_ratio, std::uint64_t seed);
  MaskPlan plan(const Batch& batch, std::int64_t epoch) override;

 private:
  std::int64_t n_patches_;
  double mask_ratio_;
  std::uint64_t seed_;
};

}  // namespace sgmae
