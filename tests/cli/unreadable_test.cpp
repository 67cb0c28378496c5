// One test image that cannot be read, in every command that tests, extracts or analyses. Oracle:
// the same data without that file, of which every number must be the same.
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "sgmae/checkpoint/write_model.h"
#include "sgmae/io/safetensors.h"
#include "sgmae/nn/mae.h"
#include "tests/data/folder.h"
#include "tests/support/program.h"
#include "tests/tiny_mae.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class UnreadableImages : public testing::Test {
 protected:
  void SetUp() override {
    at::set_num_threads(1);  // run_program_in
    for (const std::string data : {"whole", "broken", "without"})
      for (int i = 0; i < 12; ++i)
        for (const std::string part : {"train", "test"})
          folder_.image(str(data, "/", part, i < 6 ? "/cat/" : "/dog/", i, ".png"),
                        20 * i + (part == "test" ? 7 : 0), 16, 16);
    MaeConfig config = tiny_mae();
    config.channels = 3;
    ModelInfo info;
    info.mean = info.std = {0.5f, 0.5f, 0.5f};
    save_mae(folder_.path("m.safetensors"), Mae(config, 1), info);
    spoil("test/cat/5.png");
  }
  // Cuts a file off in `broken`, or empties it, and takes it out of `without`.
  void spoil(const std::string& name, bool all_of_it = false) const {
    const std::string whole = read_text(folder_.path("whole/" + name));
    folder_.write("broken/" + name, whole.substr(0, all_of_it ? 0 : whole.size() / 2));
    fs::remove(folder_.path("without/" + name));
  }
  Outcome run(const std::string& line) const {
    return run_program_in(folder_.path(),
                          line + " --checkpoint m.safetensors --threads 1 --precision fp32");
  }
  json result_of(const std::string& command, const std::string& data) const {
    const std::string out = str("out-", data);
    fs::remove_all(folder_.path(out));
    const Outcome outcome = run(str(command, " --data_path ", data, " --output_dir ", out));
    EXPECT_EQ(outcome.code, 0) << command << " " << data << "\n" << outcome.err;
    if (outcome.code != 0) return {};
    said_ = outcome.err;
    return json::parse(read_text(folder_.path(out + "/result.json")));
  }
  // The commands with numbers of test images.
  static constexpr const char* kTests[] = {
      "knn --k 3 --plain_k 1 --num_workers 0", "linprobe --cached_features --num_workers 2",
      "linprobe --epochs 2 --batch_size 4 --num_workers 1",
      "finetune --epochs 2 --batch_size 4 --drop_path 0 --num_workers 0"};

  const Folder folder_;
  mutable std::string said_;
};

TEST_F(UnreadableImages, CountNowhereAndAreTold) {
  for (const char* command : kTests) {
    SCOPED_TRACE(command);
    const json broken = result_of(command, "broken");
    EXPECT_NE(said_.find("(1 unreadable image left out)"), std::string::npos) << said_;
    // Named once, however many epochs are tested.
    EXPECT_EQ(said_.find("test/cat/5.png"), said_.rfind("test/cat/5.png")) << said_;
    const json without = result_of(command, "without");
    EXPECT_EQ(broken["test"], without["test"]);
    EXPECT_EQ(broken["test"]["images"], 11);
    EXPECT_EQ(broken["test_images"], 11);
    EXPECT_EQ(broken["test"]["per_class"]["cat"]["images"], 5);
    EXPECT_EQ(broken["test"]["per_class"]["dog"]["images"], 6);
    EXPECT_EQ(broken["unreadable_test_images"], 1);
    EXPECT_EQ(without["unreadable_test_images"], 0);
  }
}

TEST_F(UnreadableImages, OfTheTrainingPartAreNoNeighboursAndNoFeatures) {
  spoil("train/cat/0.png", /*all_of_it=*/true);
  spoil("train/dog/11.png");
  for (const char* command : {kTests[0], kTests[1]}) {
    SCOPED_TRACE(command);
    const json broken = result_of(command, "broken"), without = result_of(command, "without");
    EXPECT_EQ(broken["test"], without["test"]);
    EXPECT_EQ(broken["train_images"], 10);
    EXPECT_EQ(broken["unreadable_train_images"], 2);
  }
  const Outcome many = run("knn --k 11 --data_path broken");
  EXPECT_EQ(many.code, 0);
  EXPECT_NE(many.err.find("k is 10, not 11"), std::string::npos) << many.err;
}

TEST_F(UnreadableImages, MayBeAllOfAClassAndNotAllOfTheSet) {
  for (int i = 0; i < 6; ++i) spoil(str("test/cat/", i, ".png"), i % 2 == 0);
  const json lost = result_of(kTests[0], "broken");
  EXPECT_EQ(lost["test"]["images"], 6);
  EXPECT_EQ(lost["test"]["per_class"]["cat"]["images"], 0);
  EXPECT_EQ(lost["test"]["per_class"]["cat"]["acc1"], nullptr);
  for (int i = 6; i < 12; ++i) spoil(str("test/dog/", i, ".png"));
  for (const char* command : kTests) {
    const Outcome none = run(str(command, " --data_path broken --output_dir none"));
    EXPECT_EQ(none.code, 3) << command << "\n" << none.err;
    EXPECT_NE(none.err.find("none of the 12 images can be read"), std::string::npos) << none.err;
    fs::remove_all(folder_.path("none"));
  }
}

// Rows stay where names and labels are.
TEST_F(UnreadableImages, AreRowsOfNaNInFeatures) {
  spoil("test/dog/11.png", /*all_of_it=*/true);
  const auto extract = [&](const std::string& data, const std::string& more) {
    const Outcome outcome =
        run(str("embed --data_path ", data, " --split test --output out.safetensors ", more));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return read_safetensors(folder_.path("out.safetensors"));
  };
  for (const char* more :
       {"--batch_size 1", "--batch_size 5 --num_workers 4", "--features patches --num_workers 0"}) {
    SCOPED_TRACE(more);
    const TensorFile whole = extract("whole", more), broken = extract("broken", more);
    const at::Tensor &all = *whole.find("features"), &some = *broken.find("features");
    ASSERT_EQ(some.sizes(), all.sizes());
    EXPECT_TRUE(broken.find("label")->equal(*whole.find("label")));
    EXPECT_EQ(whole.find("readable")->sum().item<int>(), 12);
    const json names = json::parse(broken.metadata.at("names"));
    ASSERT_EQ(names.size(), 12u);
    for (int i = 0; i < 12; ++i) {
      const std::string name = names[static_cast<std::size_t>(i)];
      const bool bad = name == "broken/test/cat/5.png" || name == "broken/test/dog/11.png";
      EXPECT_EQ((*broken.find("readable"))[i].item<int>(), !bad) << name;
      if (bad)
        EXPECT_TRUE(some[i].isnan().all().item<bool>()) << name;
      else  // fp32, batches of another size
        EXPECT_LT(some[i].sub(all[i]).abs().max().item<float>(), 1e-5f) << name;
    }
  }
  // Files that are named are no different.
  const Outcome named =
      run("embed broken/test/cat/4.png broken/test/cat/5.png gone.png --output named.safetensors");
  EXPECT_EQ(named.code, 0) << named.err;
  const at::Tensor readable = *read_safetensors(folder_.path("named.safetensors")).find("readable");
  EXPECT_EQ(readable.sum().item<int>(), 1);
  EXPECT_EQ(readable[0].item<int>(), 1);
}

TEST_F(UnreadableImages, CanBeMadeAFailureOfExtract) {
  const auto refused = [&](const std::string& line, const std::string& name) {
    const Outcome outcome = run("embed --output out.npy " + line);
    EXPECT_EQ(outcome.code, 3) << outcome.err;
    EXPECT_NE(outcome.err.find(name), std::string::npos) << outcome.err;
    EXPECT_FALSE(fs::exists(folder_.path("out.npy")));
  };
  refused("--data_path broken --split test --unreadable fail", "cat/5.png");
  refused("broken/test/cat/4.png gone.png --unreadable fail", "gone.png");
  refused("gone.png", "gone.png");  // a file with nothing but NaN helps nobody
}

TEST_F(UnreadableImages, AreNotAnalysed) {
  const auto metrics = [&](const std::string& data) {
    const Outcome outcome =
        run(str("analyze --data_path ", data, " --split test --images 0 ",
                "--metrics variance,error --guide_layer -1 --figure_images 0 --output_dir out"));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return json::parse(read_text(folder_.path("out/metrics.json")));
  };
  const json broken = metrics("broken");
  EXPECT_EQ(broken["images"], 11);
  EXPECT_EQ(broken["unreadable_images"], 1);
  for (int i = 0; i < 11; ++i)  // dog/9.png is left, and the spread over images needs two
    if (i != 9) spoil(str("test/", i < 6 ? "cat/" : "dog/", i, ".png"));
  spoil("test/dog/11.png");
  const Outcome one =
      run("analyze --data_path broken --split test --guide_layer -1 --output_dir none");
  EXPECT_EQ(one.code, 3) << one.err;
  EXPECT_NE(one.err.find("at least two"), std::string::npos) << one.err;
}

// With val/ alone the class names come from the classifier's own file.
TEST_F(UnreadableImages, AClassifierIsTestedWithoutATrainingPart) {
  fs::rename(folder_.path("whole/test"), folder_.path("val-only"));
  fs::create_directories(folder_.path("only"));
  fs::rename(folder_.path("val-only"), folder_.path("only/val"));
  for (const std::string command : {"linprobe", "finetune"}) {
    const std::string classifier = "--checkpoint out-without/checkpoint-best.safetensors ";
    result_of(command + " --epochs 1 --batch_size 4 --num_workers 0", "without");
    const Outcome tested = run_program_in(
        folder_.path(),
        command + " --eval --data_path only --output_dir tested --threads 1 " + classifier);
    EXPECT_EQ(tested.code, 0) << tested.err;
    const json result = json::parse(read_text(folder_.path("tested/result.json")));
    EXPECT_EQ(result["test"]["images"], 12);
    EXPECT_EQ(result["test"]["per_class"].size(), 2u);
    EXPECT_FALSE(result.contains("train_images"));
    const Outcome trained = run(command + " --data_path only --output_dir none --num_workers 0");
    EXPECT_EQ(trained.code, 3) << trained.err;
    EXPECT_NE(trained.err.find("train"), std::string::npos) << trained.err;
    EXPECT_EQ(trained.err.find("lack"), std::string::npos) << trained.err;
  }
}

}  // namespace
}  // namespace sgmae
