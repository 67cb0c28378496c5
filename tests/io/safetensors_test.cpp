// Oracle: tests/golden/data/nn/*.safetensors were written by PyPI safetensors; malformed files are
// made here.
#include "sgmae/io/safetensors.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cstring>

#include "sgmae/base/file.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

class Safetensors : public testing::Test {
 protected:
  fs::path path_ = fs::path(testing::TempDir()) / "sgmae_test.safetensors";

  // Expects a checkpoint error for a file of this header and so many zero bytes of data.
  void expect_refused(const std::string& header, std::size_t data_bytes,
                      const std::string& reason) {
    std::uint64_t length = header.size();
    std::string file(reinterpret_cast<const char*>(&length), 8);
    file += header + std::string(data_bytes, '\0');
    expect_refused_file(file, reason);
  }
  void expect_refused_file(const std::string& file, const std::string& reason) {
    write_file(path_, file);
    try {
      read_safetensors(path_);
      ADD_FAILURE() << "accepted: " << reason;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::checkpoint);
      EXPECT_NE(std::string(error.what()).find(reason), std::string::npos) << error.what();
    }
  }
};

TEST_F(Safetensors, RoundTripOfEveryTypeAndMetadata) {
  NamedTensors tensors;
  for (const at::ScalarType type : {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong,
                                    at::kInt, at::kShort, at::kChar, at::kByte, at::kBool})
    tensors.emplace_back(std::string("t.") + toString(type), at::arange(6).to(type).view({2, 3}));
  tensors.emplace_back("empty", at::zeros({0, 4}));
  tensors.emplace_back("transposed", at::arange(6, at::kFloat).view({2, 3}).t());
  write_safetensors(path_, tensors, {{"epoch", "3"}});
  const TensorFile file = read_safetensors(path_);
  EXPECT_EQ(file.metadata.at("epoch"), "3");
  ASSERT_EQ(file.tensors.size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    ASSERT_TRUE(file.find(name)) << name;
    EXPECT_EQ(file.find(name)->scalar_type(), tensor.scalar_type());
    EXPECT_TRUE(file.find(name)->equal(tensor)) << name;
  }
  EXPECT_EQ(file.find("absent"), nullptr);
}

TEST_F(Safetensors, ReadsWhatTheReferenceWrites) {
  const TensorFile file = read_safetensors(SGMAE_TEST_DATA "/nn/mae_square.safetensors");
  EXPECT_EQ(file.find("pixels")->sizes(), (std::vector<std::int64_t>{3, 3, 32, 32}));
  EXPECT_EQ(file.metadata.at("torch"), "2.11.0+cu130");
}

TEST_F(Safetensors, MalformedFilesAreRefused) {
  expect_refused_file("short", "fewer than 8 bytes");
  expect_refused_file(std::string("\xff\xff\xff\xff\xff\xff\xff\x7f{}", 10),
                      "longer than the file");
  expect_refused("not json", 0, "");
  expect_refused("[]", 0, "not a JSON object");
  expect_refused(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 4,
                 "outside the file");
  expect_refused(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", 8,
                 "outside the file");
  expect_refused(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}})", 8, "does not fit");
  expect_refused(R"({"a":{"dtype":"Q4","shape":[2],"data_offsets":[0,8]}})", 8, "unknown type");
  expect_refused(R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8, "whole numbers");
  expect_refused(R"({"a":{"dtype":"F32","shape":[9223372036854775808,2],"data_offsets":[0,8]}})", 8,
                 "larger than the file");
  expect_refused(R"({"a":{"dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,8]}})", 8,
                 "larger than the file");
  expect_refused(R"({"a":{"dtype":"U8","shape":[0,4611686018427387904,4],"data_offsets":[0,0]}})",
                 0, "larger than the file");
  expect_refused(R"({"a":{"dtype":"U8","shape":8,"data_offsets":[0,8]}})", 8, "whole numbers");
  expect_refused(R"({"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},)"
                 R"("b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})",
                 8, "overlaps");
  expect_refused(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})", 4, "before 'a'");
  expect_refused(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", 4, "behind");
  expect_refused(R"({"__metadata__":{"a":1}})", 0, "");
  expect_refused(std::string(100'000, '['), 0, "");
  const std::string boolean = R"({"a":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}})";
  const std::uint64_t length = boolean.size();
  expect_refused_file(
      std::string(reinterpret_cast<const char*>(&length), 8) + boolean + std::string(1, '\2'),
      "truth values");
}

// Cut anywhere, a file is refused: nothing reads past the end, nothing passes for whole.
TEST_F(Safetensors, EveryTruncationIsRefused) {
  write_safetensors(path_, {{"a", at::arange(3)}, {"b", at::zeros({2, 2})}}, {{"epoch", "3"}});
  const std::string whole = read_text(path_);
  for (std::size_t bytes = 0; bytes < whole.size(); ++bytes)
    expect_refused_file(whole.substr(0, bytes), "");
}

TEST_F(Safetensors, FileOfEmptyTensorsAloneIsRead) {
  write_safetensors(path_, {{"empty", at::zeros({5, 0, 4})}});
  EXPECT_EQ(read_safetensors(path_).find("empty")->sizes(), (std::vector<std::int64_t>{5, 0, 4}));
}

TEST_F(Safetensors, MissingFileIsACheckpointError) {
  try {
    read_safetensors("/nowhere/model.safetensors");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::checkpoint);
  }
}

}  // namespace
}  // namespace sgmae
