#include "sgmae/train/launch_options.h"

#include <algorithm>

#include "sgmae/base/log.h"

namespace sgmae {

void LaunchOptions::declare(Options& o) {
  o.add("nodes", nodes, "accepted for MAE's command lines; this program trains in one process");
  o.add("ngpus", ngpus, "likewise");
  o.add("world_size", world_size, "likewise, and must be 1");
  o.add("local_rank", local_rank, "likewise, and must not be above 0");
  o.add("dist_on_itp", dist_on_itp, "likewise");
  o.add("dist_url", dist_url, "likewise");
  o.add("dist_backend", dist_backend, "likewise");
  o.add("use_volta32", use_volta32, "likewise");
  o.add("timeout", timeout, "likewise");
  o.add("partition", partition, "likewise");
  o.add("comment", comment, "likewise");
}

bool is_launch_option(const std::string& name) {
  LaunchOptions launch;
  Options declared;
  launch.declare(declared);
  return std::any_of(declared.all().begin(), declared.all().end(),
                     [&](const OptionInfo& option) { return option.name == name; });
}

void check_launch(const LaunchOptions& o, std::int64_t accum_iter) {
  check(o.world_size == 1, ExitCode::usage, "world_size must be 1, not ", o.world_size,
        ": this program trains in one process",
        o.world_size > 1 ? str("; for the effective batch of ", o.world_size,
                               " processes set --accum_iter ", accum_iter * o.world_size)
                         : "");
  check(o.local_rank <= 0, ExitCode::usage, "local_rank is ", o.local_rank,
        ", but this program trains in one process: start it once, without a launcher");
  if (o.nodes * o.ngpus > 1)
    warn("this program trains in one process: for the effective batch of ", o.nodes, " nodes with ",
         o.ngpus, " GPUs set --accum_iter ", accum_iter * o.nodes * o.ngpus);
}

}  // namespace sgmae
