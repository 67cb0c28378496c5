// Oracle: tests/golden/data/io/checkpoint*.pth and big_endian.pth were written by torch.save, and
// checkpoint.safetensors holds the same tensors by safetensors (tests/golden/torch_files.py), which
// also reads back what we write.
#include "sgmae/io/torch_file.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "sgmae/base/file.h"
#include "sgmae/io/pickle.h"
#include "sgmae/io/safetensors.h"
#include "sgmae/io/zip.h"

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

TEST(TorchFileTest, PlainPicklesOfArraysAreReadToo) {
  const TorchFile file = read_torch_file(kGolden + "arrays4.pkl");
  const at::Tensor matrix = at::arange(6).view({2, 3});
  EXPECT_TRUE(find_tensor(file.tensors, "f4")->equal(matrix.to(at::kFloat)));
  EXPECT_TRUE(find_tensor(file.tensors, "columns")->equal(matrix));
  EXPECT_TRUE(find_tensor(file.tensors, "big")->equal(at::arange(2).to(at::kShort)));
}

class Written : public testing::Test {
 protected:
  fs::path path_ = fs::path(testing::TempDir()) / "sgmae_torch_file_test.pth";

  void expect_refused(const std::string& bytes, const std::string& reason) {
    write_file(path_, bytes);
    try {
      read_torch_file(path_);
      ADD_FAILURE() << "accepted: " << reason;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::checkpoint);
      EXPECT_NE(std::string(error.what()).find(reason), std::string::npos) << error.what();
    }
  }
  // An archive of this pickle and one storage "0" of so many zero bytes.
  std::string archive(const std::string& pickle, std::size_t storage_bytes) {
    AtomicFile file(path_);
    ZipWriter zip(file);
    const auto add = [&](const std::string& name, const std::string& content) {
      zip.add(name, {reinterpret_cast<const std::uint8_t*>(content.data()), content.size()});
    };
    add("a/data.pkl", pickle);
    add("a/data/0", std::string(storage_bytes, '\0'));
    zip.finish();
    file.commit();
    return read_text(path_);
  }
  // A tensor in storage "0", with sizes, strides and offset as pickle instructions.
  std::string archive_of_tensor(const std::string& size, const std::string& stride,
                                const std::string& offset, std::size_t storage_bytes) {
    using namespace std::string_literals;
    return archive(
        "\x80\2ctorch._utils\n_rebuild_tensor_v2\n((X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0"
        "0X\3\0\0\0cpuK\6tQ"s +
            offset + size + stride + "\x89}tR.",
        storage_bytes);
  }
};

TEST_F(Written, RoundTrip) {
  NamedTensors tensors;
  for (const DTypeInfo& entry : kDTypes)
    tensors.emplace_back(std::string("t.") + entry.name,
                         at::arange(6).to(scalar_type(entry.type)).view({2, 3}));
  tensors.emplace_back("transposed", at::arange(6, at::kFloat).view({2, 3}).t());
  tensors.emplace_back("empty", at::zeros({0, 4}));
  tensors.emplace_back("scalar", at::ones({}));
  const auto rest = nlohmann::json::parse(
      R"({"lr": 0.1, "steps": 4294967296, "minus": -3, "name": "é", "none": null, "deep": [[true]]})");
  write_torch_file(path_, {{"model", {torch_dict(tensors)}}, {"args", {rest}}, {"epoch", {3}}});
  const TorchFile file = read_torch_file(path_);
  ASSERT_EQ(file.tensors.size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor* found = find_tensor(file.tensors, "model." + name);
    ASSERT_TRUE(found) << name;
    EXPECT_EQ(found->scalar_type(), tensor.scalar_type());
    EXPECT_TRUE(found->equal(tensor)) << name;
  }
  EXPECT_EQ(file.rest, (nlohmann::json{{"args", rest}, {"epoch", 3}}));
}

TEST_F(Written, EveryTruncationIsRefused) {
  for (const char* name : {"big_endian.pth", "checkpoint_legacy.pth"}) {
    const std::string whole = read_text(kGolden + name);
    for (std::size_t bytes = 0; bytes < whole.size(); bytes += bytes < 300 ? 1 : 13)
      expect_refused(whole.substr(0, bytes), "");
  }
}

TEST_F(Written, ProgramsAreRefused) {
  expect_refused(read_text(kGolden + "module.pth"), "wants torch.nn.modules.linear.Linear");
  expect_refused(read_text(kGolden + "scripted.pt"), "TorchScript");
  expect_refused(read_text(kGolden + "python.zip"), "no data.pkl");
  using namespace std::string_literals;
  expect_refused(archive("\x80\2cos\nsystem\nX\2\0\0\0ls\x85R."s, 0), "wants os.system");
}

TEST_F(Written, TensorsOutsideTheirStorageAreRefused) {
  const std::string zero("K\0", 2);
  const std::string huge("\x8a\x08\0\0\0\0\0\0\0\x40", 10);  // 2^62
  archive_of_tensor("K\2K\3\x86", "K\3K\1\x86", zero, 24);
  EXPECT_EQ(read_torch_file(path_).tensors[0].second.numel(), 6);  // of the name "tensor"
  const auto refused = [&](const std::string& size, const std::string& stride,
                           const std::string& offset, const std::string& reason) {
    expect_refused(archive_of_tensor(size, stride, offset, 24), reason);
  };
  refused("K\2K\3\x86", "K\3K\1\x86", "K\1", "outside its storage");
  refused("K\2K\3\x86", "K\4K\1\x86", zero, "outside its storage");
  refused("K\2K\3\x86", "K\3K\1\x86", huge, "outside its storage");
  refused("K\2\x85", huge + "\x85", zero, "outside its storage");
  refused("K\7\x85", "K\1\x85", zero, "outside its storage");
  refused(")", ")", "K\6", "outside its storage");
  refused(huge + "\x85", zero + "\x85", zero, "impossibly large");
  refused(zero + huge + huge + "\x87", "K\1K\1K\1\x87", zero, "impossibly large");
  // Within 2^40 elements, but far more than the file: 4 GB.
  refused("J" + std::string("\0\0\0\x40", 4) + "\x85", zero + "\x85", zero, "unfolds");
  expect_refused(archive("\x80\2ctorch._utils\n_rebuild_tensor_v2\n(K\1K\1)K\1tR.", 0), "unusual");
}

TEST_F(Written, NestingAndSharingAreBounded) {
  expect_refused(archive(std::string(1000, ']') + std::string(999, 'a') + ".", 0), "too deeply");
  expect_refused(archive("]q\1h\1a.", 0), "too deeply");  // a list that holds itself
  // Twelve levels of ten references each to the level below: 10^12 values, in 500 bytes.
  std::string laughs = "]q";
  laughs += '\0';
  for (char level = 1; level <= 12; ++level) {
    laughs += "](";
    for (int i = 0; i < 10; ++i) laughs += {'h', static_cast<char>(level - 1)};
    laughs += {'e', 'q', level};
  }
  expect_refused(archive(laughs + ".", 0), "unfolds");
}

TEST_F(Written, MissingStoragesAreRefused) {
  write_torch_file(path_, {{"a", {at::ones({2})}}});
  std::string bytes = read_text(path_);
  for (std::size_t at = 0; (at = bytes.find("archive/data/0", at)) != std::string::npos; ++at)
    bytes[at + 13] = '7';
  expect_refused(bytes, "content of a tensor is missing");
}

}  // namespace
}  // namespace sgmae
