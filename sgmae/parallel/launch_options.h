// How a run is spread over processes: MAE's flags and those of its submitit launchers, so that a
// line from MAE's instructions works.
#pragma once

#include <cstdint>
#include <string>

#include "sgmae/base/options.h"
#include "sgmae/parallel/membership.h"

namespace sgmae {

struct LaunchOptions {
  int nodes = 1, ngpus = 1;
  int world_size = 1, local_rank = -1;
  bool dist_on_itp = false;
  std::string dist_url = "env://", dist_backend = "nccl";
  double process_timeout = 600;  // seconds
  bool use_volta32 = false;
  int timeout = 4320;  // minutes
  std::string partition, comment;

  void declare(Options& options);  // section [launch]

  // `processes` are there: warns, with the accum_iter for the same effective batch, where MAE's
  // launcher was to start others.
  void check(std::int64_t accum_iter, int processes) const;

  // What the environment and these options say of this process (find_membership). Throws
  // Error(usage) for a time that cannot be, and what find_membership() throws.
  Membership membership() const;
};

}  // namespace sgmae
