#include "sgmae/train/launch_options.h"

#include "sgmae/base/log.h"

namespace sgmae {

void LaunchOptions::declare(Options& o) {
  o.section("launch", /*formerly=*/"run");
  const auto add = [&](const char* name, auto& value, const std::string& help) {
    o.add(name, value, help).may_change_on_resume();
  };
  add("nodes", nodes, "machines that MAE's launcher would ask for; one process trains on this one");
  add("ngpus", ngpus, "GPUs of each that it would ask for; one process trains on one");
  add("world_size", world_size, "processes that train together; must be 1");
  add("local_rank", local_rank, "number of this process on its machine; must not be above 0");
  add("dist_on_itp", dist_on_itp, "take ranks from Open MPI's variables; without effect");
  add("dist_url", dist_url, "where processes meet; without effect");
  add("dist_backend", dist_backend, "how processes exchange gradients; without effect");
  add("use_volta32", use_volta32, "have Slurm choose GPUs with 32 GB; without effect");
  add("timeout", timeout, "minutes for which MAE's launcher would ask; without effect");
  add("partition", partition, "Slurm's partition; without effect");
  add("comment", comment, "Slurm's comment; without effect");
}

void LaunchOptions::check(std::int64_t accum_iter) const {
  sgmae::check(world_size == 1, ExitCode::usage, "world_size must be 1, not ", world_size,
               ": this program trains in one process",
               world_size > 1 ? str("; for the effective batch of ", world_size,
                                    " processes set --accum_iter ", accum_iter * world_size)
                              : "");
  sgmae::check(local_rank <= 0, ExitCode::usage, "local_rank is ", local_rank,
               ", but this program trains in one process: start it once, without a launcher");
  if (nodes * ngpus > 1)
    warn("this program trains in one process: for the effective batch of ", nodes, " nodes with ",
         ngpus, " GPUs set --accum_iter ", accum_iter * nodes * ngpus);
}

}  // namespace sgmae
