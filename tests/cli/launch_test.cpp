// sgmae launch with the built program. Oracle: exit codes, and what the processes leave.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "sgmae/base/file.h"
#include "sgmae/checkpoint/write_model.h"
#include "sgmae/nn/mae.h"
#include "tests/data/folder.h"
#include "tests/tasks/tiny_run.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

class Launch : public ::testing::Test {
 protected:
  void SetUp() override { tiny::write_images(folder_.root() / "data"); }

  // Starts it; what is printed goes to the file "said".
  pid_t start(const std::string& arguments) const {
    const std::string command =
        str("exec ", SGMAE_PROGRAM, " launch ", arguments, " > ", folder_.path("said"), " 2>&1");
    const pid_t child = fork();
    if (child == 0) {
      execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
      _exit(127);
    }
    return child;
  }
  int end(pid_t child) const {
    int status = -1;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  std::string said() const { return read_text(folder_.root() / "said"); }
  std::string training(int epochs) const {
    return str("pretrain --data_path ", folder_.path("data"), " --output_dir ", folder_.path("run"),
               " --model mae_vit_tiny_patch4 --input_size 16 --dim 32 --depth 2 --heads 2"
               " --decoder_dim 16 --decoder_depth 1 --decoder_heads 2 --batch_size 8 --save_every 1"
               " --num_workers 1 --threads 1 --probe_images 0 --epochs ",
               epochs);
  }
  // Process ids of those that it started, once they train.
  std::vector<pid_t> training_processes(pid_t launcher) const {
    while (!fs::exists(folder_.root() / "run/checkpoints/epoch-0001.safetensors"))
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    std::vector<pid_t> found;
    std::ifstream children(str("/proc/", launcher, "/task/", launcher, "/children"));
    for (pid_t child; children >> child;) found.push_back(child);
    return found;
  }

  const Folder folder_;
};

TEST_F(Launch, TrainsInSeveralProcesses) {
  EXPECT_EQ(end(start("--nproc 2 -- " + training(2))), 0) << said();
  const auto facts = nlohmann::json::parse(read_text(folder_.root() / "run/run.json"));
  EXPECT_EQ(facts.at("processes"), 2);
  EXPECT_EQ(facts.at("steps_per_epoch"), 6);
  const std::string text = said();
  EXPECT_EQ(text.find("run folder: "), text.rfind("run folder: ")) << "one speaks:\n" << text;
}

// Byte for byte. One of seven images, in batches of two, cannot be read.
TEST_F(Launch, ExtractsAndAnalysesAsOneProcess) {
  const MaeConfig config{.height = 16,
                         .width = 16,
                         .channels = 3,
                         .patch_size = 4,
                         .encoder = {16, 2, 2},
                         .decoder = {16, 1, 2}};
  ModelInfo info;
  info.mean = info.std = {0.5f, 0.5f, 0.5f};
  save_mae(folder_.path("m.safetensors"), Mae(config, 1), info);
  for (int i = 0; i < 7; ++i) folder_.image(str("images/", i, ".png"), 30 * i, 16, 16);
  folder_.write("images/3.png", "no image");
  const std::string all =
      str(" --checkpoint ", folder_.path("m.safetensors"), " --data_path ", folder_.path("images"),
          " --batch_size 2 --threads 1 --num_workers 1 --precision fp32 ");
  const auto in = [&](int processes, const std::string& line) {
    const int code = end(start(str("--nproc ", processes, " -- ", line, all)));
    const std::string text = said();
    EXPECT_EQ(text.find("3.png"), text.rfind("3.png")) << "named once:\n" << text;
    return code;
  };
  for (const char* features : {"mean", "patches"}) {
    for (const int processes : {1, 2, 3})
      EXPECT_EQ(in(processes, str("embed --features ", features, " --output ",
                                  folder_.path(str(processes, ".safetensors")))),
                0)
          << said();
    EXPECT_NE(said().find("1 unreadable image has a row of NaN"), std::string::npos) << said();
    for (const char* several : {"2.safetensors", "3.safetensors"})
      EXPECT_TRUE(read_text(folder_.path(several)) == read_text(folder_.path("1.safetensors")))
          << features;
  }
  EXPECT_EQ(end(start(str("--nproc 2 -- extract --unreadable fail --output ",
                          folder_.path("none.npy"), all))),
            3);
  EXPECT_FALSE(fs::exists(folder_.path("none.npy")));
  for (const int processes : {1, 2})
    EXPECT_EQ(in(processes, str("analyze --figure_images 3 --output_dir ",
                                folder_.path(str("analysis", processes)))),
              0)
        << said();
  int files = 0;
  for (const auto& file : fs::directory_iterator(folder_.path("analysis1"))) {
    ++files;
    EXPECT_TRUE(read_text(file.path()) ==
                read_text(fs::path(folder_.path("analysis2")) / file.path().filename()))
        << file.path();
  }
  EXPECT_GT(files, 5);
}

TEST_F(Launch, EndsAsTheFirstThatFailed) {
  const pid_t launcher = start("--nproc 3 -- " + training(100000) + " --process_timeout 20");
  const std::vector<pid_t> children = training_processes(launcher);
  ASSERT_EQ(children.size(), 3u);
  kill(children[1], SIGKILL);
  EXPECT_EQ(end(launcher), 128 + SIGKILL);
  EXPECT_NE(said().find(str("gave up: process 1 (", children[1])), std::string::npos) << said();
}

TEST_F(Launch, PassesSignalsOn) {
  const pid_t launcher = start("--nproc 2 -- " + training(100000));
  training_processes(launcher);
  kill(launcher, SIGTERM);
  EXPECT_EQ(end(launcher), 130);
  const std::string text = said();
  EXPECT_NE(text.find("interrupted; "), std::string::npos) << text;
  EXPECT_EQ(text.find("interrupted; "), text.rfind("interrupted; ")) << "one speaks:\n" << text;
}

TEST_F(Launch, SaysWhatItCannotStart) {
  for (const auto& [arguments, message] :
       {std::pair{"--nproc 2", "nothing to start"},
        {"--nproc 0 -- knn", "nproc must be"},
        {"--nnodes 2 -- knn", "master is missing"},
        {"--nnodes 2 --node_rank 2 --master a:1 -- knn", "node_rank must be in 0 .. 1"},
        {"--master nowhere -- knn", "'nowhere' is not HOST:PORT"},
        {"--nproc 2 -- report run", "this command runs in one process"}}) {
    EXPECT_EQ(end(start(arguments)), 2);
    EXPECT_NE(said().find(message), std::string::npos) << said();
  }
}

}  // namespace
}  // namespace sgmae
