// Oracle: what torchrun, Open MPI, MPICH and Slurm document that they set, and MAE's reading of it.
#include "sgmae/parallel/membership.h"

#include <gtest/gtest.h>

#include <map>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

using Variables = std::map<std::string, std::string>;

Membership found(const Variables& variables, const MeetingWishes& wishes = {}) {
  return find_membership(
      [&](const char* name) {
        const auto at = variables.find(name);
        return at == variables.end() ? nullptr : at->second.c_str();
      },
      wishes);
}

std::string complaint(const Variables& variables, const MeetingWishes& wishes = {}) {
  try {
    found(variables, wishes);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    return error.what();
  }
  return "";
}

const Variables torchrun{{"RANK", "3"},
                         {"WORLD_SIZE", "4"},
                         {"LOCAL_RANK", "1"},
                         {"MASTER_ADDR", "node0"},
                         {"MASTER_PORT", "1234"}};

TEST(Membership, IsOfOneUnlessSomebodySaysOtherwise) {
  EXPECT_EQ(found({}).size, 1);
  EXPECT_EQ(found({{"RANK", "0"}, {"WORLD_SIZE", "1"}}).size, 1);
  // A batch script of Slurm, which is not one of the tasks it will start.
  EXPECT_EQ(found({{"SLURM_NTASKS", "8"}, {"SLURM_PROCID", "0"}, {"SLURM_JOB_ID", "7"}}).size, 1);
}

TEST(Membership, ReadsTorchrun) {
  const Membership one = found(torchrun);
  EXPECT_EQ(one.rank, 3);
  EXPECT_EQ(one.size, 4);
  EXPECT_EQ(one.local_rank, 1);
  EXPECT_EQ(one.meeting, "tcp://node0:1234");
  EXPECT_FALSE(one.served_by_agent);
  EXPECT_EQ(one.attempt, "0");
  Variables elastic = torchrun;
  elastic["TORCHELASTIC_USE_AGENT_STORE"] = "True";
  elastic["TORCHELASTIC_RESTART_COUNT"] = "2";
  EXPECT_TRUE(found(elastic).served_by_agent);
  EXPECT_EQ(found(elastic).attempt, "2");
}

TEST(Membership, ReadsMpi) {
  const Variables open_mpi{{"OMPI_COMM_WORLD_RANK", "1"},
                           {"OMPI_COMM_WORLD_SIZE", "2"},
                           {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                           {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}};
  EXPECT_EQ(found(open_mpi).rank, 1);
  EXPECT_EQ(found(open_mpi).meeting, "tcp://127.0.0.1:29500");
  const Variables mpich{{"PMI_RANK", "1"},        {"PMI_SIZE", "2"},    {"MPI_LOCALRANKID", "0"},
                        {"MPI_LOCALNRANKS", "1"}, {"MASTER_ADDR", "a"}, {"MASTER_PORT", "5"}};
  EXPECT_EQ(found(mpich).meeting, "tcp://a:5");
  EXPECT_EQ(found(mpich).local_rank, 0);
  // mpirun inside a job of Slurm: Slurm's own variables are those of mpirun.
  Variables both = open_mpi;
  both["SLURM_STEP_NUM_TASKS"] = "1";
  both["SLURM_PROCID"] = "0";
  EXPECT_EQ(found(both).rank, 1);
  // torchrun inside mpirun, unless MAE's flag says otherwise.
  both.insert(torchrun.begin(), torchrun.end());
  EXPECT_EQ(found(both).rank, 3);
  EXPECT_EQ(found(both, {.open_mpi = true}).rank, 1);
}

TEST(Membership, ReadsSlurm) {
  Variables slurm{{"SLURM_STEP_NUM_TASKS", "16"},
                  {"SLURM_PROCID", "9"},
                  {"SLURM_LOCALID", "1"},
                  {"SLURM_JOB_NODELIST", "gpu[03-04]"},
                  {"SLURM_JOB_ID", "123456"}};
  EXPECT_EQ(found(slurm).rank, 9);
  EXPECT_EQ(found(slurm).local_rank, 1);
  EXPECT_EQ(found(slurm).meeting, "tcp://gpu03:23456") << "jobs that share a host share no port";
  slurm["SLURM_STEP_NODELIST"] = "gpu04";
  EXPECT_EQ(found(slurm).meeting, "tcp://gpu04:23456") << "a step on a part of the job's hosts";
  slurm["MASTER_ADDR"] = "login";
  slurm["MASTER_PORT"] = "99";
  EXPECT_EQ(found(slurm).meeting, "tcp://login:99");
}

TEST(Membership, FirstHostOfSlurmsList) {
  EXPECT_EQ(first_host("a"), "a");
  EXPECT_EQ(first_host("a,b"), "a");
  EXPECT_EQ(first_host("node[007-010,020],gpu1"), "node007");
  EXPECT_EQ(first_host("node[5,7]"), "node5");
  EXPECT_EQ(first_host("rack[1-2]-cpu,x"), "rack1-cpu");
}

TEST(Membership, FollowsMaesFlags) {
  EXPECT_EQ(found(torchrun, {.url = "tcp://b:7"}).meeting, "tcp://b:7");
  EXPECT_EQ(found(torchrun, {.url = "file:///x/y"}).meeting, "file:///x/y");
  EXPECT_EQ(found(torchrun, {.world_size = 4}).size, 4);
  Variables without_local = torchrun;
  without_local.erase("LOCAL_RANK");
  EXPECT_EQ(found(without_local, {.local_rank = 1}).local_rank, 1) << "torch.distributed.launch";
}

TEST(Membership, NamesWhatIsWrong) {
  const auto without = [](const char* name) {
    Variables variables = torchrun;
    variables.erase(name);
    return variables;
  };
  const auto with = [](const char* name, const char* value) {
    Variables variables = torchrun;
    variables[name] = value;
    return variables;
  };
  for (const char* name : {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"})
    EXPECT_NE(complaint(without(name)).find(str("variable ", name, " is missing")),
              std::string::npos)
        << complaint(without(name));
  EXPECT_NE(complaint(with("RANK", "x")).find("RANK is 'x'"), std::string::npos);
  EXPECT_NE(complaint(with("WORLD_SIZE", "0")).find("WORLD_SIZE is '0'"), std::string::npos);
  EXPECT_NE(complaint(with("RANK", "4")).find("process 4 of 4"), std::string::npos);
  EXPECT_NE(complaint(with("MASTER_PORT", "70000")).find("MASTER_PORT"), std::string::npos);
  EXPECT_NE(complaint({{"OMPI_COMM_WORLD_SIZE", "2"}}).find("OMPI_COMM_WORLD_RANK is missing"),
            std::string::npos);
  EXPECT_NE(
      complaint({{"OMPI_COMM_WORLD_SIZE", "2"}, {"OMPI_COMM_WORLD_RANK", "0"}}).find("MASTER_ADDR"),
      std::string::npos)
      << "on several hosts";
  EXPECT_NE(complaint({{"SLURM_STEP_NUM_TASKS", "2"}, {"SLURM_PROCID", "0"}})
                .find("SLURM_JOB_NODELIST is missing"),
            std::string::npos);
  EXPECT_NE(complaint(torchrun, {.url = "http://x"}).find("dist_url: 'http://x'"),
            std::string::npos);
  EXPECT_NE(complaint({}, {.open_mpi = true}).find("OMPI_COMM_WORLD_RANK"), std::string::npos);
}

TEST(Membership, FlagsAloneStartNoProcesses) {
  const std::string several = complaint({}, {.world_size = 8});
  EXPECT_NE(several.find("sgmae launch --nproc 8"), std::string::npos) << several;
  EXPECT_NE(complaint({}, {.world_size = 0}).find("world_size is 0"), std::string::npos);
  EXPECT_NE(complaint({}, {.local_rank = 3}).find("local_rank is 3"), std::string::npos);
  EXPECT_NE(complaint(torchrun, {.world_size = 8}).find("one of 4 processes"), std::string::npos);
}

}  // namespace
}  // namespace sgmae
