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
      "machines that MAE's launcher would ask for; here torchrun or srun starts processes");
  add("ngpus", ngpus, "GPUs of each that it would ask for, one process each");
  add("world_size", world_size, "processes that train together, where it must be as it is; 1: any");
  add("local_rank", local_rank,
      "number of this process on its machine, where nothing else says it");
  add("dist_on_itp", dist_on_itp, "take ranks from Open MPI's variables alone");
  add("dist_url", dist_url,
      "where processes meet: tcp://HOST:PORT, file:///PATH, or env://, which is where their "
      "starter says");
  add("dist_backend", dist_backend, "how processes exchange gradients; without effect: Gloo");
  add("process_timeout", process_timeout,
      "seconds to wait for another process before the run is given up");
  add("use_volta32", use_volta32, "have Slurm choose GPUs with 32 GB; without effect");
  add("timeout", timeout, "minutes for which MAE's launcher would ask; without effect");
  add("partition", partition, "Slurm's partition; without effect");
  add("comment", comment, "Slurm's comment; without effect");
}

void LaunchOptions::check(std::int64_t accum_iter, int processes) const {
  const std::int64_t wanted = std::int64_t{nodes} * ngpus;
  if (wanted > 1 && wanted != processes)
    warn("nodes and ngpus ask for ", wanted, " processes, but there ",
         processes == 1 ? "is one" : str("are ", processes),
         wanted % processes == 0 ? str(": for the same effective batch set --accum_iter ",
                                       accum_iter * wanted / processes)
                                 : std::string(": the effective batch is another"));
}

Membership LaunchOptions::membership() const {
  sgmae::check(process_timeout >= 1 && process_timeout <= 1e6, ExitCode::usage,
               "process_timeout must be in 1 .. 1e6 seconds, but is ", process_timeout);
  return find_membership([](const char* name) { return std::getenv(name); },
                         {.world_size = world_size,
                          .local_rank = local_rank,
                          .open_mpi = dist_on_itp,
                          .url = dist_url});
}

}  // namespace sgmae
