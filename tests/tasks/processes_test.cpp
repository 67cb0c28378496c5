// Training in several processes. Oracle: the same training in one, whose steps take the same
// batches one after another; it differs by the order of fp32 sums alone.
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cmath>

#include "sgmae/eval/knn_task.h"
#include "sgmae/io/safetensors.h"
#include "sgmae/tasks/detect.h"
#include "sgmae/tasks/finetune.h"
#include "sgmae/tasks/linprobe.h"
#include "sgmae/tasks/pretrain.h"
#include "sgmae/train/checkpoint.h"
#include "tests/eval/shapes_data.h"
#include "tests/eval/striped_data.h"
#include "tests/support/log_lines.h"
#include "tests/support/processes.h"
#include "tests/support/temporary_folder.h"
#include "tests/tasks/tiny_run.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

// Of all floating-point numbers of two files, the norm of the difference over the norm.
double distance(const fs::path& one, const fs::path& other) {
  const TensorFile a = read_safetensors(one), b = read_safetensors(other);
  double difference = 0, size = 0;
  EXPECT_EQ(a.tensors.size(), b.tensors.size());
  for (const auto& [name, tensor] : a.tensors) {
    const at::Tensor x = tensor.to(at::kDouble), y = b.find(name)->to(at::kDouble);
    difference += x.sub(y).pow(2).sum().item<double>();
    size += x.pow(2).sum().item<double>();
  }
  return std::sqrt(difference / size);
}

void expect_same_losses(const fs::path& one, const fs::path& other, double tolerance) {
  const auto a = log_lines(one), b = log_lines(other);
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i)
    for (const char* key : {"train_loss", "train_lr", "grad_norm"}) {
      const double x = a[i].at(key), y = b[i].at(key);
      EXPECT_NEAR(x, y, tolerance * std::abs(x)) << key << " of epoch " << i;
    }
}

class ProcessesTest : public ::testing::Test {
 protected:
  void SetUp() override { tiny::write_images(folder_.root() / "data"); }

  // Five epochs of four steps of 24 images, as six batches; guidance from epoch 2, position means.
  PretrainOptions options(const std::string& run, int processes) const {
    PretrainOptions o = tiny::options(folder_.root() / "data", folder_.root() / run);
    o.batch_size = 2;
    o.accum_iter = 12 / processes;
    o.epochs = 10;
    o.save_every = 1;
    o.blr = 0.01;
    tiny::guided(o).guide.center = GuideCenter::position;
    return o;
  }
  // Stops after `epochs`.
  void begin(PretrainOptions o, std::int64_t epochs) const {
    in_processes(1, [&] {
      PretrainHooks hooks;
      hooks.after_step = [&](const StepDone& step) {
        if (step.epoch == epochs) raise(SIGTERM);
      };
      pretrain(o, hooks);
    });
  }
  fs::path run(const std::string& name) const { return folder_.root() / name; }
  fs::path last(const std::string& name) const {
    return run(name) / "checkpoints/epoch-0010.safetensors";
  }
  void copy(const std::string& from, const std::string& to) const {
    fs::copy(run(from), run(to), fs::copy_options::recursive);
  }

  TemporaryFolder folder_;
};

// 80 steps, 64 of them guided. Where guidance begins the weights are the same bits, since ranks of
// relevance that is almost equal turn on the last of them.
TEST_F(ProcessesTest, PretrainingIsThatOfOneProcess) {
  begin(options("begun", 1), 2);
  for (const int size : {1, 2, 3, 4}) {
    const std::string name = str("of", size);
    copy("begun", name);
    expect_in_processes(size, [&] { pretrain(options(name, size)); });
    if (size == 1) continue;
    EXPECT_EQ(read_text(run(name) / "maps/relevance-2.safetensors"),
              read_text(run("of1") / "maps/relevance-2.safetensors"))
        << size;
    expect_same_losses(run("of1"), run(name), 2e-6);
    EXPECT_LT(distance(last("of1"), last(name)), 80 * 1e-6) << size;
    const auto one = log_lines(run("of1")), several = log_lines(run(name));
    for (std::size_t epoch = 0; epoch < one.size(); ++epoch)
      EXPECT_NEAR(one[epoch].at("mask_R_M"), several[epoch].at("mask_R_M"), 1e-5);
  }
}

TEST_F(ProcessesTest, FromTheFirstStepOn) {
  PretrainOptions one = options("one", 1), three = options("three", 3);
  for (PretrainOptions* o : {&one, &three}) o->mask.strategy = "random", o->epochs = 4;
  expect_in_processes(1, [&] { pretrain(one); });
  expect_in_processes(3, [&] { pretrain(three); });
  expect_same_losses(run("one"), run("three"), 1e-6);
}

// Clipping needs the norm of all shards; another number of processes goes on with a whole
// optimizer, and back again.
TEST_F(ProcessesTest, ShardedOptimizersTrainTheSame) {
  const auto sharded = [&](const std::string& name, int size, bool shard, std::int64_t epochs) {
    PretrainOptions o = options(name, size);
    o.mask.strategy = "random";
    o.epochs = 6;
    o.clip_grad = 0.5;
    o.shard_optimizer = shard ? ShardOptimizer::yes : ShardOptimizer::no;
    o.checkpoint_activations = shard;
    expect_in_processes(size, [&] {
      PretrainHooks hooks;
      hooks.after_step = [&](const StepDone& step) {
        if (step.epoch == epochs) raise(SIGTERM);
      };
      try {
        pretrain(o, hooks);
      } catch (const Error& error) {
        if (error.code() != ExitCode::interrupted) throw;
      }
    });
  };
  sharded("one", 1, false, 6);
  sharded("several", 3, true, 1);
  sharded("several", 2, false, 3);
  sharded("several", 4, true, 6);
  expect_same_losses(run("one"), run("several"), 2e-6);
  const fs::path state = "checkpoints/epoch-0006.state.safetensors";
  EXPECT_LT(distance(run("one") / state, run("several") / state), 24 * 1e-6);
}

TEST_F(ProcessesTest, TheSameNumberGivesTheSameBits) {
  for (const char* name : {"a", "b"}) expect_in_processes(3, [&] { pretrain(options(name, 3)); });
  EXPECT_EQ(read_text(last("a")), read_text(last("b")));
  EXPECT_EQ(timeless_log(run("a")), timeless_log(run("b")));
}

TEST_F(ProcessesTest, OnlineGuidanceSumsWhereObjectsLie) {
  const auto online = [&](const std::string& name, int size) {
    PretrainOptions o = options(name, size);
    tiny::guided(o).mask_source = MaskSource::online;
    tiny::guided(o).guide.center = GuideCenter::none;
    o.epochs = 3;
    return o;
  };
  begin(online("begun", 1), 2);
  for (const int size : {1, 3}) {
    const std::string name = str("of", size);
    copy("begun", name);
    expect_in_processes(size, [&] { pretrain(online(name, size)); });
  }
  const auto one = log_lines(run("of1")).back(), three = log_lines(run("of3")).back();
  EXPECT_NEAR(one.at("mask_object_share"), three.at("mask_object_share"), 0.01);
  EXPECT_NEAR(one.at("mask_position_bias"), three.at("mask_position_bias"), 0.002);
}

TEST_F(ProcessesTest, StoppingOneStopsAllAndOthersMayGoOn) {
  for (const char* name : {"unbroken", "stopped"}) {
    PretrainOptions o = options(name, 2);
    o.mask.strategy = "random";
    o.epochs = 4;
    if (std::string(name) == "unbroken") {
      expect_in_processes(2, [&] { pretrain(o); });
      continue;
    }
    const std::vector<Ended> all = in_processes(2, [&] {
      PretrainHooks hooks;
      hooks.after_step = [&](const StepDone& step) {
        if (processes().rank() == 1 && step.epoch == 1 && step.step == 2) raise(SIGTERM);
      };
      pretrain(o, hooks);
    });
    for (const Ended& one : all) EXPECT_EQ(one.code, static_cast<int>(ExitCode::interrupted));
    ASSERT_TRUE(fs::exists(run("stopped") / "checkpoints/epoch-0001-step-3.safetensors"))
        << all[0].message;
    o.accum_iter = 3;
    expect_in_processes(4, [&] { pretrain(o); });
  }
  expect_same_losses(run("unbroken"), run("stopped"), 1e-6);
}

TEST_F(ProcessesTest, StepsOfAnotherSizeAreRefused) {
  PretrainOptions o = options("run", 1);
  o.epochs = 3;
  begin(o, 1);
  o.accum_iter = 4;
  for (const Ended& one : in_processes(2, [&] { pretrain(o); })) {
    EXPECT_EQ(one.code, static_cast<int>(ExitCode::usage));
    EXPECT_NE(one.message.find("give --accum_iter 6"), std::string::npos) << one.message;
  }
}

TEST_F(ProcessesTest, UnequalDataAreFoundAtOnce) {
  fs::copy(folder_.root() / "data", folder_.root() / "other", fs::copy_options::recursive);
  std::vector<std::uint8_t> fewer(90 * tiny::side * tiny::side);
  write_file(folder_.root() / "other/train-images-idx3-ubyte",
             idx({90, tiny::side, tiny::side}, fewer));
  const std::vector<Ended> all = in_processes(2, [&] {
    PretrainOptions o = options("run", 2);
    if (processes().rank() == 1) o.data_path = (folder_.root() / "other").string();
    pretrain(o);
  });
  for (const Ended& one : all) {
    EXPECT_EQ(one.code, static_cast<int>(ExitCode::usage));
    EXPECT_NE(one.message.find("has 90 as training images, but process 0"), std::string::npos)
        << one.message;
  }
}

TEST_F(ProcessesTest, ADiskThatIsFullIsToldByAll) {
  fs::create_directories(run("run") / "checkpoints");
  const std::vector<Ended> all = in_processes(2, [&] {
    PretrainHooks hooks;
    hooks.after_step = [&](const StepDone& step) {
      if (processes().leads() && step.epoch == 1 && step.step == 3)
        fail(ExitCode::disk_full, "no space left on the disk");
    };
    pretrain(options("run", 2), hooks);
  });
  EXPECT_EQ(all[0].code, static_cast<int>(ExitCode::disk_full));
  EXPECT_EQ(all[1].code, static_cast<int>(ExitCode::process_lost));
  EXPECT_NE(all[1].message.find("no space left"), std::string::npos) << all[1].message;
}

MaeConfig small_model() {
  MaeConfig config;
  config.height = config.width = 16;
  config.channels = 1;
  config.patch_size = 8;
  config.encoder = {16, 2, 2};
  config.decoder = {8, 1, 2};
  return config;
}

class ClassifierProcessesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    striped::write_part(folder_.path(), "train", 60, true);
    striped::write_part(folder_.path(), "t10k", 31, true);
    ModelInfo info;
    info.mean = {0.5f}, info.std = {0.25f};
    save_mae(folder_.path("encoder.safetensors"), Mae(small_model(), 1), info);
  }
  fs::path run(const std::string& name) const { return folder_.root() / name; }
  void expect_same_scores(const std::string& a, const std::string& b) const {
    const auto json = [&](const std::string& name) {
      return nlohmann::json::parse(read_text(run(name) / "result.json"));
    };
    EXPECT_EQ(json(a)["test"], json(b)["test"]) << "every test image once";
    EXPECT_EQ(json(a)["test"]["images"], 31);
    EXPECT_NEAR(json(a)["test_loss"], json(b)["test_loss"], 1e-5);
  }

  TemporaryFolder folder_;
};

TEST_F(ClassifierProcessesTest, FineTuningIsThatOfOneProcess) {
  for (const int size : {1, 2, 3}) {
    FinetuneOptions o;
    o.checkpoint = folder_.path("encoder.safetensors");
    o.data.data_path = folder_.path();
    o.data.num_workers = 1;
    o.output_dir = folder_.path(str("of", size));
    o.batch_size = 4, o.accum_iter = 6 / size;
    o.epochs = 4, o.warmup_epochs = 0, o.lr = 3e-3;
    o.mixup = 0.8, o.cutmix = 1, o.drop_path = 0.2;
    o.threads = 1, o.precision = PrecisionChoice::fp32;
    expect_in_processes(size, [&] { finetune(o); });
    if (size == 1) continue;
    expect_same_losses(run("of1"), run(str("of", size)), 1e-6);
    expect_same_scores("of1", str("of", size));
  }
}

TEST_F(ClassifierProcessesTest, ProbesAreThoseOfOneProcess) {
  for (const bool cached : {false, true})
    for (const int size : {1, 2, 4}) {
      const std::string name = str(cached ? "cached" : "lars", size);
      LinprobeOptions o;
      o.checkpoint = folder_.path("encoder.safetensors");
      o.data.data_path = folder_.path();
      o.data.num_workers = 1;
      o.output_dir = folder_.path(name);
      o.batch_size = 5, o.accum_iter = 4 / size;
      o.epochs = 3, o.warmup_epochs = 1, o.lr = 20;
      o.cached_features = cached;
      o.threads = 1, o.precision = PrecisionChoice::fp32;
      expect_in_processes(size, [&] { linprobe(o); });
      if (size == 1) continue;
      expect_same_scores(cached ? "cached1" : "lars1", name);
      if (cached) continue;
      expect_same_losses(run("lars1"), run(name), 1e-6);
      EXPECT_LT(distance(run("lars1") / best_model, run(name) / best_model), 1e-5);
    }
}

TEST_F(ClassifierProcessesTest, NeighboursAreThoseOfOneProcess) {
  for (const int size : {1, 3})
    expect_in_processes(size, [&] {
      const Mae model(small_model(), 1);
      KnnTask task;
      task.data.data_path = folder_.path();
      task.data.num_workers = 1;
      task.batch_size = 7;
      const KnnScore score = run_knn(model.encoder(), {{0.5f}, {0.25f}}, task);
      EXPECT_EQ(score.train_images, 60);
      EXPECT_EQ(score.counts().images(), 31);
      const auto json = to_json(score).dump();
      for (const std::string& other : processes().gather(json)) EXPECT_EQ(other, json);
      const fs::path file = run("score");
      if (size == 1) write_file(file, json);
      EXPECT_EQ(read_text(file), json);
    });
}

// The anchors and proposals that losses are taken of are drawn by image; test images are shared.
TEST(DetectionInProcesses, IsThatOfOneProcess) {
  const TemporaryFolder folder;
  shapes::write(folder.root() / "data", "train", 12);
  shapes::write(folder.root() / "data", "val", 5);
  for (const int size : {1, 2}) {
    DetectOptions o;
    o.model = "vit_tiny_patch8";
    o.input_size = 64;
    o.dim = 32, o.depth = 2, o.open.heads = 2;
    o.window = 3;
    o.head_channels = 16, o.box_hidden = 32;
    o.box_convs = o.mask_convs = 1;
    o.anchor_samples = o.roi_samples = 48;
    o.min_score = 0.01;
    o.data.data_path = (folder.root() / "data").string();
    o.data.num_workers = 1;
    o.batch_size = 2;
    o.accum_iter = 2 / size;
    o.epochs = 2, o.warmup_epochs = 0, o.lr = 1e-3;
    o.output_dir = (folder.root() / str("of", size)).string();
    o.threads = 1;
    o.precision = PrecisionChoice::fp32;
    expect_in_processes(size, [&] { detect(o); });
  }
  const fs::path one = folder.root() / "of1", two = folder.root() / "of2";
  expect_same_losses(one, two, 1e-5);
  EXPECT_LT(distance(one / "checkpoint-last.safetensors", two / "checkpoint-last.safetensors"),
            1e-5);
  const auto a = log_lines(one), b = log_lines(two);
  for (std::size_t i = 0; i < a.size(); ++i)
    for (const char* key : {"train_loss_objectness", "train_loss_mask", "test_box_ap50"})
      EXPECT_NEAR(a[i].at(key).get<double>(), b[i].at(key).get<double>(), 1e-4) << key;
  const auto found = [](const fs::path& run) {
    return nlohmann::json::parse(read_text(run / "detections.json"));
  };
  const auto here = found(one), there = found(two);
  ASSERT_FALSE(here.empty());
  EXPECT_EQ(here.size(), there.size());
}

}  // namespace
}  // namespace sgmae
