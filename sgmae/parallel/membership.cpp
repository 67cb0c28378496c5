#include "sgmae/parallel/membership.h"

#include <charconv>
#include <optional>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

std::optional<int> number(const std::string& text) {
  int value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

class Variables {
 public:
  explicit Variables(const Environment& variable) : variable_(variable) {}

  bool has(const char* name) const { return variable_(name) != nullptr; }
  std::string text(const char* name, const std::string& otherwise = "") const {
    const char* value = variable_(name);
    return value ? value : otherwise;
  }
  // A count of at least `least`. `starter` set the others, so that this one should be there too.
  int count(const char* name, int least, const char* starter) const {
    check(has(name), ExitCode::usage, "the variable ", name, " is missing, though others say that ",
          starter, " started this process; start it by ", starter, ", or remove those variables");
    const auto value = number(text(name));
    check(value && *value >= least, ExitCode::usage, "the variable ", name, " is '", text(name),
          "', not a whole number from ", least, " on");
    return *value;
  }

 private:
  const Environment& variable_;
};

// Where processes meet that were started without a word about it.
std::string meeting_of(const Variables& variables, const std::string& host, int port) {
  const std::string where = variables.text("MASTER_ADDR", host);
  const std::string given = variables.text("MASTER_PORT", std::to_string(port));
  const auto at = number(given);
  check(at && *at >= 1 && *at <= 65535, ExitCode::usage, "the variable MASTER_PORT is '", given,
        "', not a port");
  return str("tcp://", where, ":", *at);
}

constexpr int default_port = 29500;

Membership from_torchrun(const Variables& variables) {
  constexpr const char* starter = "torchrun or sgmae launch";
  Membership found{.rank = variables.count("RANK", 0, starter),
                   .size = variables.count("WORLD_SIZE", 1, starter)};
  found.local_rank = variables.has("LOCAL_RANK") ? variables.count("LOCAL_RANK", 0, starter) : -1;
  if (found.size > 1) {
    for (const char* name : {"MASTER_ADDR", "MASTER_PORT"})
      check(variables.has(name), ExitCode::usage, "the variable ", name,
            " is missing, though RANK and WORLD_SIZE say that this is one of ", found.size,
            " processes; it says where they meet");
    found.meeting = meeting_of(variables, "", default_port);
  }
  found.served_by_agent = variables.text("TORCHELASTIC_USE_AGENT_STORE") == "True";
  found.attempt = variables.text("TORCHELASTIC_RESTART_COUNT", "0");
  return found;
}

// Of MPI's starters none says where to meet; on one host that is no question.
Membership from_mpi(const Variables& variables, const char* rank, const char* size,
                    const char* local_rank, const char* local_size) {
  constexpr const char* starter = "mpirun";
  Membership found{.rank = variables.count(rank, 0, starter),
                   .size = variables.count(size, 1, starter)};
  found.local_rank = variables.has(local_rank) ? variables.count(local_rank, 0, starter) : -1;
  if (found.size == 1) return found;
  const bool one_host =
      variables.has(local_size) && variables.count(local_size, 1, starter) == found.size;
  if (one_host || variables.has("MASTER_ADDR"))
    found.meeting = meeting_of(variables, "127.0.0.1", default_port);
  return found;
}

Membership from_slurm(const Variables& variables) {
  constexpr const char* starter = "srun";
  Membership found{.rank = variables.count("SLURM_PROCID", 0, starter),
                   .size = variables.count("SLURM_STEP_NUM_TASKS", 1, starter)};
  found.local_rank =
      variables.has("SLURM_LOCALID") ? variables.count("SLURM_LOCALID", 0, starter) : -1;
  if (found.size == 1) return found;
  const char* list =
      variables.has("SLURM_STEP_NODELIST") ? "SLURM_STEP_NODELIST" : "SLURM_JOB_NODELIST";
  check(variables.has(list) || variables.has("MASTER_ADDR"), ExitCode::usage,
        "the variable SLURM_JOB_NODELIST is missing, whose first host is where processes meet; "
        "start them by srun, or set MASTER_ADDR");
  // Jobs that share a host must not share a port.
  const auto job = number(variables.text("SLURM_JOB_ID", "0"));
  found.meeting =
      meeting_of(variables, first_host(variables.text(list)), 20000 + job.value_or(0) % 10000);
  return found;
}

}  // namespace

std::string first_host(const std::string& list) {
  const std::size_t end = list.find_first_of(",[");
  std::string host = list.substr(0, end);
  if (end == std::string::npos || list[end] == ',') return host;
  const std::size_t stop = list.find_first_of("-,]", end);
  host += list.substr(end + 1, stop == std::string::npos ? stop : stop - end - 1);
  // What follows the bracket belongs to every name.
  if (const std::size_t close = list.find(']', end); close != std::string::npos) {
    const std::size_t next = list.find_first_of(",[", close);
    host += list.substr(close + 1, next == std::string::npos ? next : next - close - 1);
  }
  return host;
}

Membership find_membership(const Environment& variable, const MeetingWishes& wishes) {
  const Variables variables(variable);
  Membership found;
  if (wishes.open_mpi || variables.has("OMPI_COMM_WORLD_SIZE")) {
    if (!variables.has("RANK") || wishes.open_mpi)
      found = from_mpi(variables, "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
                       "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE");
    else
      found = from_torchrun(variables);
  } else if (variables.has("RANK") || variables.has("WORLD_SIZE")) {
    found = from_torchrun(variables);
  } else if (variables.has("PMI_SIZE")) {
    found = from_mpi(variables, "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS");
  } else if (variables.has("SLURM_STEP_NUM_TASKS")) {
    found = from_slurm(variables);
  }
  check(found.rank < found.size, ExitCode::usage, "this is said to be process ", found.rank, " of ",
        found.size, "; they are numbered from 0");
  check(wishes.world_size == 1 || wishes.world_size == found.size, ExitCode::usage,
        "world_size is ", wishes.world_size,
        found.size == 1
            ? str(", but nothing says which of them this process is; start it by sgmae launch "
                  "--nproc ",
                  wishes.world_size, ", torchrun, mpirun or srun")
            : str(", but this is one of ", found.size, " processes; leave --world_size out"));
  check(wishes.local_rank <= 0 || found.size > 1, ExitCode::usage, "local_rank is ",
        wishes.local_rank,
        ", but nothing says of how many processes; start it by sgmae launch, torchrun, mpirun or "
        "srun");
  if (found.local_rank < 0) found.local_rank = wishes.local_rank;
  if (found.size == 1) return found;
  if (wishes.url != "env://") {
    check(wishes.url.starts_with("tcp://") || wishes.url.starts_with("file://"), ExitCode::usage,
          "dist_url: '", wishes.url, "' is none of env://, tcp://HOST:PORT and file:///PATH");
    found.meeting = wishes.url;
    found.served_by_agent = false;
  }
  check(!found.meeting.empty(), ExitCode::usage, "nothing says where the ", found.size,
        " processes meet; set MASTER_ADDR, or give --dist_url tcp://HOST:PORT");
  return found;
}

}  // namespace sgmae
