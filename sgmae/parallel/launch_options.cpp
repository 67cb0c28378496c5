#include "sgmae/parallel/launch_options.h"

#include <cstdlib>

#include "sgmae/base/log.h"

namespace sgmae {

void LaunchOptions::declare(Options& o) {
  o.section("launch", /*formerly=*/"run");
  const auto add = [&](const char* name, auto& value, const std::string& help) {
    o.add(name, value, help).may_change_on_resume();
  };
  add("nodes", nodes,
      "machines that MAE's launcher would ask for, by its own default 2; the effective batch of "
      "its "
      "processes is kept, which torchrun or srun starts here; 0: not asked for");
  add("ngpus", ngpus, "GPUs of each that it would ask for, one process each, by its own default 8");
  add("world_size", world_size, "processes that train together, where it must be as it is; 1: any");
  add("local_rank", local_rank,
      "number of this process on its machine, where nothing else says it");
  add("dist_on_itp", dist_on_itp, "take ranks from Open MPI's variables alone");
  add("dist_url", dist_url,
      "where processes meet: tcp://HOST:PORT, file:///PATH, or env://, which is where their "
      "starter says");
  o.add("dist_backend", gpus_meet, {{"nccl", true}, {"gloo", false}},
        "how GPUs exchange gradients: nccl, with each other; gloo, as processors do, through the "
        "memory of their machines")
      .may_change_on_resume();
  add("process_timeout", process_timeout,
      "seconds to wait for another process before the run is given up");
  add("use_volta32", use_volta32, "have Slurm choose GPUs with 32 GB; without effect");
  add("timeout", timeout, "minutes for which MAE's launcher would ask; without effect");
  add("partition", partition, "Slurm's partition; without effect");
  add("comment", comment, "Slurm's comment; without effect");
}

std::int64_t LaunchOptions::keep_batch(std::int64_t accum_iter, int processes) {
  sgmae::check(nodes >= 0 && ngpus >= 0, ExitCode::usage,
               "nodes and ngpus must not be negative, but are ", nodes, " and ", ngpus);
  const bool asked = nodes > 0 || ngpus > 0;
  const std::int64_t wanted =
      asked ? std::int64_t{nodes > 0 ? nodes : 2} * (ngpus > 0 ? ngpus : 8) : 1;
  nodes = ngpus = 0;
  if (wanted == 1 || wanted == processes) return accum_iter;
  const std::int64_t passes = accum_iter * wanted;
  const std::string there =
      str("the line is for ", wanted, " processes of MAE's launcher, and there ",
          processes == 1 ? "is one" : str("are ", processes));
  sgmae::check(passes % processes == 0, ExitCode::usage, there, ", among which its ", passes,
               " batches of a step cannot be shared; start as many "
               "processes as divide that, or leave --nodes and --ngpus out");
  info(there, ": accum_iter is ", passes / processes, " for the same effective batch");
  return passes / processes;
}

Membership LaunchOptions::membership() const {
  sgmae::check(process_timeout >= 1 && process_timeout <= 1e6, ExitCode::usage,
               "process_timeout must be in 1 .. 1e6 seconds, but is ", process_timeout);
  Membership membership =
      find_membership([](const char* name) { return std::getenv(name); }, {.world_size = world_size,
                                                                           .local_rank = local_rank,
                                                                           .open_mpi = dist_on_itp,
                                                                           .url = dist_url});
  membership.gpus_meet = gpus_meet;
  return membership;
}

}  // namespace sgmae
