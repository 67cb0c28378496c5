// Oracle: tests/golden/data/io/checkpoint*.pth and big_endian.pth were written by torch.save, and
// checkpoint.safetensors holds the same tensors by safetensors (tests/golden/torch_files.py), which
// also reads back what we write.
#include "sgmae/io/torch_file.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cstring>

#include "sgmae/io/safetensors.h"
#include "tests/support/temporary_folder.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

const std::string kGolden = SGMAE_TEST_DATA "/io/";

class TorchFileOf : public testing::TestWithParam<const char*> {};

TEST_P(TorchFileOf, EveryLayoutHoldsWhatTorchSaved) {
  const TorchFile file = read_torch_file(kGolden + GetParam());
  const TensorFile expected = read_safetensors(kGolden + "checkpoint.safetensors");
  EXPECT_EQ(file.tensors.size(), expected.tensors.size());
  for (const auto& [name, tensor] : expected.tensors) {
    const at::Tensor* found = find_tensor(file.tensors, name);
    ASSERT_TRUE(found) << name;
    EXPECT_EQ(found->scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(found->equal(tensor)) << name;
    EXPECT_TRUE(found->is_contiguous()) << name;
  }
  EXPECT_TRUE(find_tensor(file.tensors, "optimizer.state.0.exp_avg"));

  const nlohmann::json& rest = file.rest;
  EXPECT_EQ(rest.at("epoch"), 7);
  EXPECT_TRUE(rest.at("scaler").is_null());
  EXPECT_EQ(rest.at("args"), nlohmann::json::parse(R"({"lr": 0.25, "model": "tiny",
      "betas": [0.9, 0.95], "output_dir": "a/b"})"));
  EXPECT_EQ(rest.at("optimizer").at("param_groups").at(0).at("lr"), 0.5);
  EXPECT_EQ(rest.at("size"), nlohmann::json::parse("[2, 3]"));
  EXPECT_EQ(rest.at("type"), "torch.float16");
  EXPECT_EQ(rest.at("device"), nlohmann::json::parse(R"(["cpu"])"));
  EXPECT_EQ(rest.at("list"), nlohmann::json::parse(R"([null, "text", [1, 2]])"));
  EXPECT_FALSE(rest.contains("model"));
}

INSTANTIATE_TEST_SUITE_P(TorchFile, TorchFileOf,
                         testing::Values("checkpoint.pth", "checkpoint_deflated.pth",
                                         "checkpoint_legacy.pth"));

TEST(TorchFileTest, BytesOfTheOtherOrderAreSwapped) {
  const TorchFile file = read_torch_file(kGolden + "big_endian.pth");
  EXPECT_EQ(find_tensor(file.tensors, "a")->select(0, 1).item<float>(), -2.5f);
  EXPECT_EQ(find_tensor(file.tensors, "b")->item<std::int16_t>(), 258);
}

// What trainers put beside the weights is left out, and the weights are read.
TEST(TorchFileTest, ObjectsOfUnknownClassesAreLeftOut) {
  const TensorFile others = read_safetensors(kGolden + "other_types.safetensors");
  for (const char* name : {"training.pth", "training4.pth"}) {
    const TorchFile file = read_torch_file(kGolden + name);
    EXPECT_TRUE(find_tensor(file.tensors, "state_dict.weight")->equal(at::arange(4, at::kFloat)));
    EXPECT_TRUE(find_tensor(file.tensors, "state_dict.parameter")->equal(at::ones({2})));
    EXPECT_EQ(file.rest, nlohmann::json::parse(R"({"meta": {"epoch": 3},
        "hyper_parameters": {"lr": 0.25}})"));
    for (const char* unknown :
         {"trainer.History", "trainer.Config", "trainer.Names", "trainer.Mode", "datetime.datetime",
          "numpy.ndarray of objects", "torch.ComplexDoubleStorage"})
      EXPECT_EQ(file.unknown.count(unknown), 1u) << unknown;
    // Types that no weight has are no damage: each tensor has its own.
    std::size_t found = 0;
    for (const auto& [tensor_name, tensor] : file.tensors) {
      if (!tensor_name.starts_with("others.")) continue;
      const at::Tensor* expected = others.find(tensor_name.substr(7));
      ASSERT_TRUE(expected) << tensor_name;
      EXPECT_EQ(tensor.scalar_type(), expected->scalar_type());
      EXPECT_EQ(std::memcmp(tensor.const_data_ptr(), expected->const_data_ptr(), tensor.nbytes()),
                0);
      ++found;
    }
    EXPECT_EQ(found, 6u);
    EXPECT_EQ(file.tensors.size(), 8u);
  }
}

TEST(TorchFileTest, PlainPicklesOfArraysAreReadToo) {
  const TorchFile file = read_torch_file(kGolden + "arrays4.pkl");
  const at::Tensor matrix = at::arange(6).view({2, 3});
  EXPECT_TRUE(find_tensor(file.tensors, "f4")->equal(matrix.to(at::kFloat)));
  EXPECT_TRUE(find_tensor(file.tensors, "columns")->equal(matrix));
  EXPECT_TRUE(find_tensor(file.tensors, "big")->equal(at::arange(2).to(at::kShort)));
}

TEST(TorchFileTest, WrittenOnesAreReadBack) {
  const TemporaryFolder folder;
  const fs::path path = folder.root() / "a.pth";
  NamedTensors tensors;
  for (const DTypeInfo& entry : kDTypes)
    if (*entry.storage)
      tensors.emplace_back(std::string("t.") + entry.name,
                           at::arange(6).to(scalar_type(entry.type)).view({2, 3}));
  tensors.emplace_back("transposed", at::arange(6, at::kFloat).view({2, 3}).t());
  tensors.emplace_back("empty", at::zeros({0, 4}));
  tensors.emplace_back("scalar", at::ones({}));
  const auto rest = nlohmann::json::parse(
      R"({"lr": 0.1, "steps": 4294967296, "minus": -3, "name": "é", "none": null, "deep": [[true]]})");
  write_torch_file(path, {{"model", {torch_dict(tensors)}}, {"args", {rest}}, {"epoch", {3}}});
  const TorchFile file = read_torch_file(path);
  ASSERT_EQ(file.tensors.size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor* found = find_tensor(file.tensors, "model." + name);
    ASSERT_TRUE(found) << name;
    EXPECT_EQ(found->scalar_type(), tensor.scalar_type());
    EXPECT_TRUE(found->equal(tensor)) << name;
  }
  EXPECT_EQ(file.rest, (nlohmann::json{{"args", rest}, {"epoch", 3}}));
}

}  // namespace
}  // namespace sgmae
