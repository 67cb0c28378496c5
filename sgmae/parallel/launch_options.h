// How a run is spread over processes: MAE's flags and those of its submitit launchers, so that a
// line from MAE's instructions works.
#pragma once

#include <cstdint>
#include <string>

#include "sgmae/base/options.h"
#include "sgmae/parallel/membership.h"

namespace sgmae {

struct LaunchOptions {
  int nodes = 0, ngpus = 0;  // of MAE's launchers, whose own values are 2 and 8; 0 both: not asked
  int world_size = 1, local_rank = -1;
  bool dist_on_itp = false;
  std::string dist_url = "env://";
  bool gpus_meet = true;         // dist_backend
  double process_timeout = 600;  // seconds
  bool use_volta32 = false;
  int timeout = 4320;  // minutes
  std::string partition, comment;

  void declare(Options& options);  // section [launch]

  // MAE's launcher was to start nodes * ngpus processes, but there are `processes`: the
  // forward passes per step that give the batch that it would have had, and says so. Nothing is
  // asked of a launcher any more. Throws Error(usage) where no whole number does.
  std::int64_t keep_batch(std::int64_t accum_iter, int processes);

  // What the environment and these options say of this process (find_membership). Throws
  // Error(usage) for a time that cannot be, and what find_membership() throws.
  Membership membership() const;
};

}  // namespace sgmae
