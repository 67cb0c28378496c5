// The options by which MAE's scripts, and their submitit launchers, spread a run over processes.
// They are understood so that a line from MAE's instructions works; this program trains in one
// process.
#pragma once

#include <cstdint>
#include <string>

#include "sgmae/base/options.h"

namespace sgmae {

struct LaunchOptions {
  int nodes = 1, ngpus = 1;
  int world_size = 1, local_rank = -1;
  bool dist_on_itp = false;
  std::string dist_url = "env://", dist_backend = "nccl";
  bool use_volta32 = false;
  int timeout = 4320;  // minutes
  std::string partition, comment;

  void declare(Options& options);  // section [launch]

  // Warns, with the accum_iter for the same effective batch, where a launcher was to start several
  // processes. Throws Error(usage) where this is said to be one of several.
  void check(std::int64_t accum_iter) const;
};

}  // namespace sgmae
