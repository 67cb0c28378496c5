// What a command line leaves to the program, filled in before a training begins, so that
// config.toml says all of it.
#pragma once

#include <string>

#include "sgmae/parallel/process_group.h"
#include "sgmae/train/options.h"

namespace sgmae {

// The length of the warm-up, the accumulations that give the batch of MAE's launchers, and the
// folder. Throws Error(usage) where these processes cannot give that batch.
template <class O>
void settle(O& options, const std::string& folder) {
  options.warmup_epochs = options.warmup();
  options.accum_iter = options.launch.keep_batch(options.accum_iter, processes().size());
  if (options.output_dir.empty()) options.output_dir = folder;
}

// config.toml, without `resume`, which is of one call: a run of the file as a recipe would go on
// from there.
template <class O>
std::string config_toml(O options) {
  options.resume = O().resume;
  return toml_of(options);
}

}  // namespace sgmae
