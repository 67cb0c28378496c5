// Oracle: tests/golden/data/nn/*.safetensors were written by PyPI safetensors.
#include "sgmae/io/safetensors.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "sgmae/base/file.h"
#include "tests/support/temporary_folder.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

TEST(Safetensors, RoundTripOfEveryTypeAndMetadata) {
  const TemporaryFolder folder;
  const fs::path path = folder.root() / "a.safetensors";
  NamedTensors tensors;
  for (const at::ScalarType type : {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong,
                                    at::kInt, at::kShort, at::kChar, at::kByte, at::kBool})
    tensors.emplace_back(std::string("t.") + toString(type), at::arange(6).to(type).view({2, 3}));
  tensors.emplace_back("empty", at::zeros({0, 4}));
  tensors.emplace_back("transposed", at::arange(6, at::kFloat).view({2, 3}).t());
  write_safetensors(path, tensors, {{"epoch", "3"}});
  const TensorFile file = read_safetensors(path);
  EXPECT_EQ(file.metadata.at("epoch"), "3");
  ASSERT_EQ(file.tensors.size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    ASSERT_TRUE(file.find(name)) << name;
    EXPECT_EQ(file.find(name)->scalar_type(), tensor.scalar_type());
    EXPECT_TRUE(file.find(name)->equal(tensor)) << name;
  }
  EXPECT_EQ(file.find("absent"), nullptr);
}

TEST(Safetensors, ReadsWhatTheReferenceWrites) {
  const TensorFile file = read_safetensors(SGMAE_TEST_DATA "/nn/mae_square.safetensors");
  EXPECT_EQ(file.find("pixels")->sizes(), (std::vector<std::int64_t>{3, 3, 32, 32}));
  EXPECT_EQ(file.metadata.at("torch"), "2.11.0+cu130");
}

TEST(Safetensors, FileOfEmptyTensorsAloneIsRead) {
  const TemporaryFolder folder;
  const fs::path path = folder.root() / "a.safetensors";
  write_safetensors(path, {{"empty", at::zeros({5, 0, 4})}});
  EXPECT_EQ(read_safetensors(path).find("empty")->sizes(), (std::vector<std::int64_t>{5, 0, 4}));
}

TEST(Safetensors, MissingFileIsACheckpointError) {
  try {
    read_safetensors("/nowhere/model.safetensors");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::checkpoint);
  }
}

}  // namespace
}  // namespace sgmae
