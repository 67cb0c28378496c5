// With how many threads and in which number format a command computes.
#pragma once

#include "sgmae/base/options.h"
#include "sgmae/nn/mae.h"

namespace sgmae {

enum class PrecisionChoice { automatic, fp32, bf16 };

// --threads and --precision.
void declare_compute(Options& options, int& threads, PrecisionChoice& precision);

// bf16 where it was asked for, or left open on a processor with instructions for it (AVX512-BF16).
Precision choose_precision(PrecisionChoice choice);

// Sets the threads that LibTorch uses (0: one per processor), and keeps freed memory for reuse.
void use_threads(int threads);

}  // namespace sgmae
