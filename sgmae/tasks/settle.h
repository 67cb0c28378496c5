// What a command line leaves to the program, filled in before a training begins, so that
// config.toml says all of it.
#pragma once

#include <string>

#include "sgmae/parallel/process_group.h"

namespace sgmae {

// The length of the warm-up, the accumulations that give the batch of MAE's launchers, and the
// folder. Throws Error(usage) where these processes cannot give that batch.
template <class O>
void settle(O& options, const std::string& folder) {
  options.warmup_epochs = options.warmup();
  options.accum_iter = options.launch.keep_batch(options.accum_iter, processes().size());
  if (options.output_dir.empty()) options.output_dir = folder;
}

}  // namespace sgmae
