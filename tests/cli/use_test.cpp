// What is done with a finished encoder: embed, search, duplicates, export. Oracles: unbroken runs,
// copies of files.
#include <ATen/Parallel.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "sgmae/checkpoint/write_model.h"
#include "sgmae/data/table_file.h"
#include "sgmae/io/npy.h"
#include "sgmae/io/safetensors.h"
#include "sgmae/nn/mae.h"
#include "tests/data/folder.h"
#include "tests/support/program.h"
#include "tests/tiny_mae.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class UsesOfEncoders : public testing::Test {
 protected:
  void SetUp() override {
    at::set_num_threads(1);  // run_program_in
    for (int i = 0; i < 12; ++i)
      folder_.image(str("photos/", i < 6 ? "cat/" : "dog/", i < 10 ? "0" : "", i, ".png"), 20 * i,
                    16, 16);
    save("m.safetensors", 1);
  }
  void save(const std::string& name, std::uint64_t seed) const {
    MaeConfig config = tiny_mae();
    config.channels = 3;
    ModelInfo info;
    info.mean = info.std = {0.5f, 0.5f, 0.5f};
    save_mae(folder_.path(name), Mae(config, seed), info);
  }
  Outcome run(const std::string& line) const {
    return run_program_in(folder_.path(), line + " --precision fp32 --threads 1");
  }
  Outcome succeed(const std::string& line) const {
    Outcome outcome = run(line);
    EXPECT_EQ(outcome.code, 0) << line << "\n" << outcome.err;
    return outcome;
  }
  json result_of(const std::string& line) const {
    const Outcome outcome = succeed(line + " --json");
    return outcome.code == 0 ? json::parse(outcome.out) : json();
  }
  void refused(const std::string& line, int code, const std::string& message) const {
    const Outcome outcome = run(line);
    EXPECT_EQ(outcome.code, code) << line << "\n" << outcome.err;
    EXPECT_NE(outcome.err.find(message), std::string::npos) << line << "\n" << outcome.err;
  }
  std::string bytes(const std::string& name) const { return read_text(folder_.path(name)); }
  // Names of files of features, of all types that this build writes.
  static std::vector<std::string> indices() {
    std::vector<std::string> names{"f.safetensors", "f.npy"};
    std::string why;
    if (table_plugin(why)) names.push_back("f.parquet");
    return names;
  }

  const Folder folder_;
};

constexpr const char* kEmbed = "embed photos --checkpoint m.safetensors --batch_size 2 --to ";

TEST_F(UsesOfEncoders, EmbedGoesOnWhereItWasStopped) {
  succeed(str(kEmbed, "whole.safetensors"));
  const std::string last = "photos/dog/10.png", sound = bytes(last);
  folder_.write(last, std::string(sound.size(), 'x'));
  refused(str(kEmbed, "f.safetensors --unreadable fail"), 3, "dog/10.png");
  EXPECT_TRUE(fs::exists(folder_.path("f.safetensors.part")));
  EXPECT_FALSE(fs::exists(folder_.path("f.safetensors")));
  std::string part = bytes("f.safetensors.part");
  folder_.write("f.safetensors.part", part.substr(0, part.size() - 5));  // killed while writing

  folder_.write(last, sound);
  const Outcome outcome = succeed(str(kEmbed, "f.safetensors"));
  EXPECT_NE(outcome.err.find("going on behind the 8 images of 12"), std::string::npos)
      << outcome.err;
  EXPECT_FALSE(fs::exists(folder_.path("f.safetensors.part")));
  const TensorFile whole = read_safetensors(folder_.path("whole.safetensors")),
                   again = read_safetensors(folder_.path("f.safetensors"));
  EXPECT_TRUE(at::equal(*whole.find("features"), *again.find("features")));
  EXPECT_EQ(whole.metadata.at("names"), again.metadata.at("names"));

  // By another model nothing of it is taken.
  save("other.safetensors", 2);
  folder_.write("f.safetensors.part", part);
  const Outcome other =
      succeed("embed photos --checkpoint other.safetensors --batch_size 2 --to f.safetensors");
  EXPECT_NE(other.err.find("embedded anew"), std::string::npos) << other.err;
  EXPECT_FALSE(at::equal(*read_safetensors(folder_.path("f.safetensors")).find("features"),
                         *whole.find("features")));
}

TEST_F(UsesOfEncoders, EmbedSaysWhatRowsAre) {
  succeed(str(kEmbed, "f.npy"));
  const json said = json::parse(bytes("f.npy.json"));
  EXPECT_EQ(read_npy(folder_.path("f.npy")).sizes(), (at::IntArrayRef{12, 16}));
  EXPECT_EQ(said["names"][7], "photos/dog/07.png");
  EXPECT_EQ(said["label"], json::parse("[0,0,0,0,0,0,1,1,1,1,1,1]"));
  EXPECT_EQ(said["class_names"], json::parse(R"(["cat","dog"])"));
  EXPECT_EQ(said["embedding"]["features"], "mean");
  // The former name, and options in place of arguments.
  succeed("extract --data_path photos --checkpoint m.safetensors --batch_size 2 --output g.npy");
  EXPECT_EQ(bytes("f.npy"), bytes("g.npy"));
  refused("embed --checkpoint m.safetensors --to f.npy", 2, "no images are named");
  refused("embed photos photos/cat/00.png --checkpoint m.safetensors --to f.npy", 2,
          "or one folder");
  refused("embed photos --checkpoint m.safetensors --to f.h5", 2, ".safetensors");
  refused("embed photos --data_path photos --checkpoint m.safetensors --to f.npy", 2,
          "either as arguments or by --data_path");
}

TEST_F(UsesOfEncoders, EmbedWritesTheSameNumbersToParquet) {
  std::string why;
  if (!table_plugin(why)) {
    refused(str(kEmbed, "f.parquet"), 2, "./dev build --arrow");
    EXPECT_FALSE(fs::exists(folder_.path("f.parquet.part")));
    GTEST_SKIP() << why;
  }
  const std::string last = "photos/dog/10.png", sound = bytes(last);
  folder_.write(last, "no image");
  refused(str(kEmbed, "f.parquet --unreadable fail"), 3, "dog/10.png");
  EXPECT_TRUE(fs::exists(folder_.path("f.parquet.part")));
  EXPECT_FALSE(fs::exists(folder_.path("f.parquet")));
  folder_.write(last, sound);
  succeed(str(kEmbed, "f.npy"));
  succeed(str(kEmbed, "f.parquet"));
  EXPECT_FALSE(fs::exists(folder_.path("f.parquet.part")));
  FeatureTable table;
  std::vector<float> features;
  ASSERT_EQ(
      needed_table_plugin("f.parquet").read_features(folder_.path("f.parquet"), table, features),
      "");
  const at::Tensor npy = read_npy(folder_.path("f.npy"));
  ASSERT_EQ(table.shape, npy.sizes().vec());
  EXPECT_EQ(std::memcmp(features.data(), npy.const_data_ptr(), npy.nbytes()), 0);
  const json said = json::parse(bytes("f.npy.json"));
  EXPECT_EQ(json(table.paths), said["names"]);
  EXPECT_EQ(json(table.labels), said["label"]);
  EXPECT_EQ(json(table.readable), said["readable"]);
  EXPECT_EQ(table.class_names.front(), "cat");
  EXPECT_EQ(json::parse(table.metadata.at("embedding")), said["embedding"]);
}

TEST_F(UsesOfEncoders, SearchFindsCopiesAndNotTheQueryItself) {
  folder_.write("photos/dog/99.png", bytes("photos/cat/03.png"));
  folder_.write("query.png", bytes("photos/cat/03.png"));
  for (const std::string& index : indices()) {
    succeed(str(kEmbed, index));
    const json found = result_of(str("search ", index, " photos/cat/03.png query.png --k 3"));
    EXPECT_EQ(found["images"], 13);
    const json &own = found["results"][0], &copy = found["results"][1];
    EXPECT_EQ(own["row"], 3);
    EXPECT_EQ(own["neighbours"][0]["path"], "photos/dog/99.png");
    EXPECT_EQ(own["neighbours"][0]["class"], "dog");
    EXPECT_NEAR(own["neighbours"][0]["cosine"].get<double>(), 1, 1e-6);
    EXPECT_EQ(copy["row"], -1);
    ASSERT_EQ(copy["neighbours"].size(), 3u);
    EXPECT_EQ(copy["neighbours"][0]["row"], 3) << "of equally near ones the first";
    EXPECT_EQ(copy["neighbours"][1]["row"], 12);
    EXPECT_LT(copy["neighbours"][2]["cosine"].get<double>(), 1 - 1e-9);
  }
  succeed("search f.npy query.png photos/cat/03.png --k 3 --html page.html");
  const std::string page = bytes("page.html");
  EXPECT_NE(page.find("data:image/png;base64,"), std::string::npos);
  EXPECT_NE(page.find("photos/dog/99.png"), std::string::npos);
}

TEST_F(UsesOfEncoders, SearchRefusesWhatDoesNotFit) {
  succeed(str(kEmbed, "f.safetensors"));
  succeed(str(kEmbed, "f.npy"));
  refused("search f.safetensors", 2, "search INDEX QUERY");
  refused("search f.safetensors photos/cat/00.png --k 0", 2, "k must be at least 1");
  refused("search photos photos/cat/00.png", 3, "make it by sgmae embed");
  refused("search m.safetensors photos/cat/00.png", 3, "holds no features of images");
  refused("search f.safetensors gone.png", 3, "gone.png");
  folder_.write("bad.png", "no image");
  refused("search f.safetensors bad.png", 3, "bad.png");
  save("other.safetensors", 2);
  refused("search f.safetensors photos/cat/00.png --checkpoint other.safetensors", 4,
          "was made by another model than other.safetensors");
  save("m.safetensors", 3);
  refused("search f.safetensors photos/cat/00.png", 4, "embed the images again");
  save("m.safetensors", 1);
  succeed(str(kEmbed, "p.safetensors --features patches"));
  refused("search p.safetensors photos/cat/00.png", 3, "a vector for every patch");
  fs::remove(folder_.path("f.npy.json"));
  refused("search f.npy photos/cat/00.png", 3, "f.npy.json");
  folder_.write("f.npy.json", "{\"names\": 3");
  refused("search f.npy photos/cat/00.png", 3, "embed the images again");
  fs::remove(folder_.path("photos/cat/05.png"));
  refused("search f.safetensors photos/cat/00.png --html page.html", 3, "have changed");
}

TEST_F(UsesOfEncoders, DuplicatesAreEqualFilesOrLookAlike) {
  folder_.write("photos/dog/98.png", bytes("photos/cat/03.png"));
  const json equal = result_of("duplicates photos");
  EXPECT_EQ(equal["images"], 13);
  ASSERT_EQ(equal["groups"].size(), 1u);
  EXPECT_EQ(equal["groups"][0][0]["path"], "photos/cat/03.png");
  EXPECT_EQ(equal["groups"][0][1]["path"], "photos/dog/98.png");
  EXPECT_EQ(equal["groups"][0][1]["same_file"], true);
  EXPECT_EQ(equal["surplus"], 1);

  // The same pixels in a file of other bytes: found by the model alone.
  const std::string png = bytes("photos/dog/09.png");
  folder_.write("photos/dog/97.png", png + "behind the end");
  EXPECT_EQ(result_of("duplicates photos")["groups"].size(), 1u);
  std::vector<std::string> from_all = indices();
  from_all.push_back("photos --checkpoint m.safetensors --batch_size 2");
  for (const std::string& from : from_all) {
    if (from.starts_with("f.")) succeed(str(kEmbed, from));
    const json near = result_of(str("duplicates ", from, " --threshold 0.999999 --html d.html"));
    ASSERT_EQ(near["groups"].size(), 2u) << from;
    EXPECT_EQ(near["groups"][1][1]["path"], "photos/dog/97.png");
    EXPECT_EQ(near["groups"][1][1]["same_file"], false);
    EXPECT_GT(near["groups"][1][1]["cosine"].get<double>(), 0.999999);
    EXPECT_EQ(near["equal_groups"], 1);
    EXPECT_NE(bytes("d.html").find("the same file"), std::string::npos);
  }
  // One photo and nothing else: without what its copies share only noise would be left.
  folder_.write("copies/a.png", png);
  folder_.write("copies/b.png", png + "behind the end");
  folder_.write("copies/c.png", png + "and further on");
  const json copies = result_of("duplicates copies --checkpoint m.safetensors");
  ASSERT_EQ(copies["groups"].size(), 1u);
  EXPECT_EQ(copies["groups"][0].size(), 3u);
  refused("duplicates photos --threshold 1.5", 2, "threshold");
  refused("duplicates f.npy --checkpoint m.safetensors", 2, "leave out --checkpoint");
  refused("duplicates", 2, "no images are named");
}

TEST_F(UsesOfEncoders, ExportWritesOnnx) {
  const auto refuse = [&](const std::string& line, int code, const std::string& message) {
    const Outcome outcome = run_program_in(folder_.path(), line);
    EXPECT_EQ(outcome.code, code) << line << "\n" << outcome.err;
    EXPECT_NE(outcome.err.find(message), std::string::npos) << line << "\n" << outcome.err;
  };
  refuse("export m.safetensors m.onnx", 0, "pixels -> mean [batch, 16], cls [batch, 16]");
  EXPECT_GT(fs::file_size(folder_.path("m.onnx")), 1000u);
  refuse("export m.safetensors m.onnx --input_size 24 --outputs patches --batch_size 3", 0,
         "patches [3, 9, 16]");
  refuse("export m.safetensors m.pb", 2, "must end in .onnx");
  refuse("export m.safetensors", 2, "sgmae export CHECKPOINT FILE.onnx");
  refuse("export m.safetensors m.onnx --outputs logits", 2, "no classification head");
  refuse("export m.safetensors m.onnx --input_size 20", 2, "patch_size 8 does not divide");
  refuse("export m.safetensors m.onnx --batch_size -1", 2, "batch_size");
  refuse("export photos/cat/00.png m.onnx", 4, "00.png");
}

}  // namespace
}  // namespace sgmae
