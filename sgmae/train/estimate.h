// What a pre-training run will take: memory, arithmetic, exchange, time, files. Formulas alone,
// each derived from what the code keeps and sends; nothing here runs a model. docs/scaling.md holds
// them against real runs.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "sgmae/nn/config.h"

namespace sgmae {

// What one process was seen to do, here or elsewhere.
struct MeasuredSpeed {
  double seconds_per_image = 0;  // forward and backward
  double seconds_per_step = 0;   // the optimizer's step, and what follows from it
};

// How images reach the program, by what it keeps of each in memory and in its index on disk.
enum class ImageStore { files, shards, pack };

// Forward passes for one image.
struct ForwardPasses {
  double encoder = 0;      // over all its patches; a share of one where it ends in an earlier block
  double decoder = 0;      // over all its patches
  double autoencoder = 0;  // over a masked image
  double flop = 0;         // of other layers
};

// What a masking strategy asks beside the autoencoder's own training. A backward pass counts as two
// forward ones, or as one where no weights learn from it.
struct MaskCost {
  std::int64_t map_passes = 0;  // over all images, each of which leaves a file of maps
  ForwardPasses map_pass{};
  std::int64_t informed_epochs = 0;  // of whose steps each asks …
  ForwardPasses step{};
  ForwardPasses traced{};    // … of them beside the autoencoder's own, kept for a backward pass
  bool whole_steps = false;  // after the autoencoder's own step another one sees all patches
  std::int64_t trained = 0, held = 0;  // numbers in its own networks, and in those that it keeps
};

// How a model is trained, whatever it is.
struct TrainingRun {
  Precision precision = Precision::bf16;
  std::int64_t batch_size = 64;
  std::int64_t processes = 1, processes_per_host = 8;

  bool on_cpu = true;                   // else weights to activations lie on a GPU
  bool own_products = true;             // has_products(): weights are rounded as they are packed
  bool shard_optimizer = false;         // moments in shards
  bool checkpoint_activations = false;  // a block keeps its input alone
  std::int64_t num_workers = 10;
};

struct EstimateInput : TrainingRun {
  MaeConfig model;
  std::int64_t n_visible = 49, n_thrown = 0;  // patches
  std::int64_t accum_iter = 1, epochs = 400;
  std::int64_t images = 0;

  std::int64_t probe_images = 256;
  MaskCost masks;

  std::int64_t save_every = 20, keep_checkpoints = 0;  // 0: all
  ImageStore store = ImageStore::files;
  std::int64_t name_length = 30;  // of an image, as n01440764/n01440764_10026.JPEG
  std::int64_t kept_bytes = 0;    // of images that stay decoded in memory, of one process

  std::optional<MeasuredSpeed> speed;
};

// Numbers of the model, among them those that are trained, and what the latter take up in the flat
// gradients, where each tensor begins a cache line of 16 numbers (nn/parameter.h).
struct ParameterCount {
  std::int64_t all = 0, trained = 0, flat = 0;
};
ParameterCount count_parameters(const MaeConfig& config);
// Of blocks of that size with MLPs of `hidden`.
std::int64_t count_block_parameters(const VitSize& size, std::int64_t hidden);

// Bytes that the traces of a forward pass hold when it ends (MaeTrace), its plan left out.
std::int64_t trace_bytes(const EstimateInput& input);

// Of an encoder on so many whole images: bytes of the traces of a forward pass (EncoderTrace), and
// of what a block's backward pass makes beside its trace, the latter made again where only
// checkpoints are kept.
struct EncoderBytes {
  double traces = 0, backward = 0;
};
EncoderBytes encoder_bytes(const VitConfig& config, std::int64_t images, Precision precision,
                           bool checkpoint_activations);

// Bytes of one process.
struct MemoryEstimate {
  double weights = 0, gradients = 0, moments = 0;
  double mask_networks = 0;  // of the masking strategy, with gradients and moments
  double weight_copies = 0;  // bf16, where products are LibTorch's
  double activations = 0;    // at the step's peak: traces, and what is made beside them
  double packing = 0;        // the largest operand of a product, packed
  double gaps = 0;           // between pieces of the heap; an eighth of activations, as measured
  double batches = 0;        // of the loaders, in host memory
  double data_set = 0;       // names, labels and order of images, and those kept; in host memory
  double program = 0;        // code of the program and of LibTorch, threads; as measured

  double of_model() const {
    return weights + gradients + moments + mask_networks + weight_copies + activations + packing +
           gaps;
  }
  double of_host() const { return batches + data_set + program; }
  double sum() const { return of_model() + of_host(); }
};
MemoryEstimate estimate_memory(const EstimateInput& input);

// What does not depend on batches: weights, gradients, moments, copies of weights, the program.
MemoryEstimate memory_of_parameters(const ParameterCount& count, const TrainingRun& run);

// Batches that a loader has ready or begun, with the one in use.
inline std::int64_t held_batches(const TrainingRun& run) {
  return run.num_workers > 0 ? 4 : 1;
}

struct ArithmeticEstimate {
  double flop_per_image = 0;       // training_flop_per_image()
  double flop_per_step = 0;        // of one process
  double map_flop_per_image = 0;   // of one pass that makes maps
  double mask_flop_per_image = 0;  // of a strategy in a step of informed masks
};
ArithmeticEstimate estimate_arithmetic(const EstimateInput& input);

// What is summed in a step, and what of it crosses the link between two hosts in each direction. In
// a ring a process sends (P - 1) / P of the whole twice; neighbours in rank are neighbours in it,
// so that one of a host's processes sends to the next host.
struct ExchangeEstimate {
  double bytes = 0;       // gradients, fp32; with shard_optimizer also the weights that come back
  double link_bytes = 0;  // 0 where all processes run on one host
};
ExchangeEstimate estimate_exchange(const EstimateInput& input);

// Time of a run over a network of `gbit_per_second` (0: nothing need cross one).
struct TimeEstimate {
  double gbit_per_second = 0;
  double exchange = 0;           // seconds a step, on the link alone
  double step = 0;               // seconds, the exchange hidden behind backward as far as it can be
                                 // (of informed masks, where a run has such)
  double step_unhidden = 0;      // seconds, none of it hidden
  double images_per_second = 0;  // of all processes, by `step`
  double guidance_hours = 0;     // of what the masking strategy asks, in `hours`
  double hours = 0;
  double process_hours = 0;  // GPU-hours, where each process has one
};
// Needs input.speed.
TimeEstimate estimate_time(const EstimateInput& input, double gbit_per_second);

struct FilesEstimate {
  double index = 0;              // bytes on disk, kept from the first look at the data set
  double maps = 0;               // bytes of one file of relevance maps
  double model = 0, state = 0;   // bytes of the two files of a checkpoint
  double run = 0;                // bytes of all that is kept when the run ends
  std::int64_t open_images = 0;  // files with images that one process has open at once
  // File descriptors of process 0, which has the most: images, sockets to all others for Gloo and
  // for the store, and 17 more, as measured.
  std::int64_t descriptors = 0;
};
FilesEstimate estimate_files(const EstimateInput& input);

// Whether the processes have the fp32 weights once, in common memory (GradientExchange).
bool has_common_weights(const TrainingRun& run);

inline std::int64_t hosts(const TrainingRun& run) {
  return (run.processes + run.processes_per_host - 1) / run.processes_per_host;
}
inline std::int64_t images_per_step(const EstimateInput& input) {
  return input.batch_size * input.accum_iter * input.processes;
}

// Throws Error(usage) for counts that no run could have, fewer images than a step takes among them.
void check_estimate(const EstimateInput& input);

}  // namespace sgmae
