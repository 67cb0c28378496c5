// Where a command computes, with how many threads and in which number format.
#pragma once

#include <string>

#include "sgmae/base/options.h"
#include "sgmae/nn/config.h"
#include "sgmae/nn/device.h"
#include "sgmae/nn/encoder.h"
#include "sgmae/parallel/process_group.h"

namespace sgmae {

enum class PrecisionChoice { automatic, fp32, bf16 };

struct ComputeOptions {
  std::string device = "cpu";
  PrecisionChoice precision = PrecisionChoice::automatic;
  int threads = 0;  // 0: one per processor, of which processes on one host have equal shares

  void declare(Options& options);  // in the section at hand
  void check() const;              // throws Error(usage)
};

// bf16 where it was asked for, or left open on a GPU or a processor with instructions for it
// (instruction_set() of AVX512-BF16 or more).
Precision choose_precision(PrecisionChoice choice, at::Device device = at::kCPU);

// Has `model` compute as the options say: call it before an optimizer is made of its parameters.
// Throws what open_device() throws.
template <class Model>
void place(Model& model, const ComputeOptions& options) {
  const at::Device where = open_device(options.device, processes().local_rank());
  model.move_to(where);
  model.set_precision(choose_precision(options.precision, where));
}

// "2 threads, bf16" or "cuda:0, bf16".
std::string compute_name(const Encoder& encoder);

// Sets the threads that LibTorch uses (0: ProcessGroup::processors; never more than can be of use
// or than the system lets us start, which is said), and keeps freed memory for reuse.
void use_threads(int threads);

}  // namespace sgmae
