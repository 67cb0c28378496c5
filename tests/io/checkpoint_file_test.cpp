// Oracle: the golden files of torch_file_test.cpp; folders and shards are made here in the layout
// that Hugging Face documents.
#include "sgmae/io/checkpoint_file.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include "sgmae/base/file.h"
#include "sgmae/io/safetensors.h"
#include "sgmae/io/torch_file.h"
#include "tests/support/temporary_folder.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

const std::string kGolden = SGMAE_TEST_DATA "/io/";

class CheckpointFile : public testing::Test {
 protected:
  void expect_refused(const fs::path& path, const std::string& reason) {
    try {
      read_checkpoint_file(path);
      ADD_FAILURE() << "accepted: " << reason;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::checkpoint);
      const std::string message = error.what();
      EXPECT_NE(message.find(reason), std::string::npos) << message;
      EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    }
  }
  void expect_content_refused(const std::string& bytes, const std::string& reason) {
    write_file(folder_ / "file", bytes);
    expect_refused(folder_ / "file", reason);
  }
  const TemporaryFolder temporary_;
  const fs::path folder_ = temporary_.root();
};

TEST_F(CheckpointFile, FormatsAreToldApartByContent) {
  const auto copied = [&](const char* name) {
    fs::copy_file(kGolden + name, folder_ / "model.bin", fs::copy_options::overwrite_existing);
    return read_checkpoint_file(folder_ / "model.bin");
  };
  for (const char* name : {"checkpoint.pth", "checkpoint_legacy.pth"}) {
    const CheckpointContent content = copied(name);
    EXPECT_EQ(content.format, CheckpointFormat::torch);
    EXPECT_EQ(content.extra.at("epoch"), 7);
    EXPECT_TRUE(find_tensor(content.tensors, "model.weight"));
  }
  const CheckpointContent content = copied("checkpoint.safetensors");
  EXPECT_EQ(content.format, CheckpointFormat::safetensors);
  EXPECT_TRUE(find_tensor(content.tensors, "model.weight"));
  EXPECT_TRUE(content.extra.empty());
}

// A safetensors file begins with a length, whose first byte may be a pickle's or an archive's.
TEST_F(CheckpointFile, HeadersOfAnyLengthAreSafetensors) {
  for (std::size_t more = 0; more < 260; more += 8) {
    write_safetensors(folder_ / "file", {{"x", at::ones({1})}},
                      {{"note", std::string(more + 1, '.')}});
    EXPECT_EQ(read_checkpoint_file(folder_ / "file").tensors.size(), 1u) << more;
  }
}

TEST_F(CheckpointFile, FoldersComeWithTheirConfiguration) {
  write_file(folder_ / "config.json", R"({"layer_norm_eps": 1e-12})");
  write_file(folder_ / "preprocessor_config.json", R"({"image_mean": [0.5]})");
  expect_refused(folder_, "without model.safetensors");
  write_torch_file(folder_ / "pytorch_model.bin", {{"a", {at::ones({2})}}});
  for (const fs::path& path : {folder_, folder_ / "pytorch_model.bin"}) {
    const CheckpointContent content = read_checkpoint_file(path);
    EXPECT_EQ(content.format, CheckpointFormat::torch);
    EXPECT_EQ(content.extra.at("config").at("layer_norm_eps"), 1e-12);
    EXPECT_EQ(content.extra.at("preprocessor_config").at("image_mean").at(0), 0.5);
    EXPECT_EQ(content.tensors.at(0).first, "a");
  }
  write_safetensors(folder_ / "model.safetensors", {{"b", at::ones({2})}}, {{"format", "pt"}});
  const CheckpointContent content = read_checkpoint_file(folder_);  // safetensors go first
  EXPECT_EQ(content.tensors.at(0).first, "b");
  EXPECT_EQ(content.metadata.at("format"), "pt");
  EXPECT_EQ(content.weights, folder_ / "model.safetensors");
  write_file(folder_ / "config.json", "{");
  expect_refused(folder_, "not a JSON object");
}

TEST_F(CheckpointFile, ShardsAreJoined) {
  write_safetensors(folder_ / "model-1.safetensors",
                    {{"a", at::arange(2)}, {"extra", at::ones({1})}});
  write_safetensors(folder_ / "model-2.safetensors", {{"b", at::arange(3)}});
  const fs::path index = folder_ / "model.safetensors.index.json";
  const auto write_index = [&](const std::string& map) {
    write_file(index, R"({"metadata": {"total_size": 40}, "weight_map": )" + map + "}");
  };
  write_index(R"({"a": "model-1.safetensors", "b": "model-2.safetensors"})");
  for (const fs::path& path : {folder_, index}) {
    const CheckpointContent content = read_checkpoint_file(path);
    EXPECT_EQ(content.shards, 2u);
    ASSERT_EQ(content.tensors.size(), 2u);  // what no map names is not read
    EXPECT_TRUE(find_tensor(content.tensors, "a")->equal(at::arange(2)));
    EXPECT_TRUE(find_tensor(content.tensors, "b")->equal(at::arange(3)));
  }
  write_index(R"({"a": "model-1.safetensors", "c": "model-2.safetensors"})");
  expect_refused(folder_, "lacks c");
  write_index(R"({"a": "model-3.safetensors"})");
  expect_refused(folder_, "is missing");
  write_index(R"({"a": "../model-1.safetensors"})");
  expect_refused(folder_, "does not name a file beside it");
  write_index(R"({"a": ".."})");
  expect_refused(folder_, "folder");
  write_index(R"({"a": 1})");
  expect_refused(folder_, "does not name a file beside it");
  write_index(R"({"a": "model.safetensors.index.json"})");
  expect_refused(folder_, "is JSON");
  write_index("{}");
  expect_refused(folder_, "weight_map");
}

TEST_F(CheckpointFile, StrangersAreNamed) {
  expect_refused(folder_ / "absent.pth", "absent.pth");
  expect_content_refused("", "is empty");
  expect_content_refused("\n<!DOCTYPE html><html>404", "web page");
  expect_content_refused("version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
                         "git lfs pull");
  expect_content_refused("\x1f\x8b\x08", "gzip");
  expect_content_refused("\x89HDF\r\n", "HDF5");
  expect_content_refused("\x93NUMPY", "NumPy");
  expect_content_refused("just some text", "none of the formats");
  expect_content_refused(R"({"model_type": "vit_mae"})", "weight_map");
  expect_content_refused("   ", "none of the formats");
  expect_content_refused("PK\3\4", "cut off");
  expect_content_refused("\x80\2", "too early");
}

}  // namespace
}  // namespace sgmae
