// Which of several processes this one is: torchrun, mpirun, srun or sgmae launch say so in
// variables of the environment.
#pragma once

#include <functional>
#include <string>

namespace sgmae {

struct Membership {
  int rank = 0, size = 1;
  int local_rank = 0;            // among those of its host; -1: not told
  std::string meeting = {};      // where all meet: tcp://HOST:PORT or file:///PATH
  bool served_by_agent = false;  // torchrun keeps the meeting place itself; else process 0 does
  std::string attempt = "0";     // counts torchrun's restarts
  bool gpus_meet = true;         // GPUs exchange with each other; false: through their hosts
};

// What MAE's flags say of it.
struct MeetingWishes {
  int world_size = 1;
  int local_rank = -1;
  bool open_mpi = false;       // dist_on_itp: by Open MPI's variables and no others
  std::string url = "env://";  // overrules where the variables say to meet
};

// Looks at, in this order: RANK and WORLD_SIZE (torchrun, sgmae launch), OMPI_COMM_WORLD_* (Open
// MPI), PMI_RANK and PMI_SIZE (MPICH, Intel MPI), SLURM_STEP_NUM_TASKS and SLURM_PROCID (srun; a
// batch script itself has no SLURM_STEP_NUM_TASKS, and is one process). `variable` gives the value
// of one or null. Throws Error(usage), naming it, for one that is missing, wrong or contradicted by
// a flag.
using Environment = std::function<const char*(const char* name)>;
Membership find_membership(const Environment& variable, const MeetingWishes& wishes);

// The first host of Slurm's list: "node007" of "node[007-010,020],gpu1".
std::string first_host(const std::string& slurm_list);

}  // namespace sgmae
