// Oracle: the tensor that was written.
#include "sgmae/mask/given_maps.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "sgmae/io/npy.h"
#include "sgmae/io/safetensors.h"
#include "sgmae/mask/relevance_map.h"
#include "sgmae/train/checkpoint.h"
#include "tests/mask/tiny_context.h"
#include "tests/support/errors.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

class GivenMapsTest : public ::testing::Test {
 protected:
  // Whole numbers that all types hold, but for booleans.
  static at::Tensor values(at::ScalarType type) {
    const at::Tensor counted = at::arange(96 * 16).remainder(120).view({96, 4, 4});
    return type == at::kBool ? counted.ge(60) : counted.to(type);
  }
  fs::path npy(const at::Tensor& tensor) {
    write_npy(tiny_.path("maps.npy"), tensor);
    return tiny_.path("maps.npy");
  }
  fs::path safetensors(const NamedTensors& tensors, const Metadata& metadata = {}) {
    write_safetensors(tiny_.path("maps.safetensors"), tensors, metadata);
    return tiny_.path("maps.safetensors");
  }
  GivenMaps open(const fs::path& path, GivenKind kind = GivenKind::hiding) {
    return GivenMaps(path, "mask_file", kind, tiny_.context());
  }
  void expect_holds(const GivenMaps& maps, const at::Tensor& tensor) {
    const at::Tensor wanted = tensor.to(at::kFloat).view({96, 16});
    for (const std::int64_t image : {0, 17, 95}) {
      const std::vector<float> map = maps.map(image);
      ASSERT_EQ(map.size(), 16u);
      for (std::int64_t p = 0; p < 16; ++p) EXPECT_EQ(map[p], wanted[image][p].item<float>());
    }
  }
  std::string refusal(const fs::path& path, GivenKind kind = GivenKind::hiding,
                      ExitCode code = ExitCode::data) {
    const std::string said = error_of(code, [&] { open(path, kind); });
    EXPECT_NE(said.find(path.filename().string()), std::string::npos) << said;
    return said;
  }

  TinyContext tiny_;
};

TEST_F(GivenMapsTest, ReadsEveryTypeOfMasks) {
  for (const at::ScalarType type : {at::kFloat, at::kDouble, at::kHalf, at::kByte, at::kBool})
    expect_holds(open(npy(values(type))), values(type));
  for (const at::ScalarType type : {at::kFloat, at::kDouble, at::kHalf, at::kBFloat16})
    expect_holds(open(safetensors({{"relevance", values(type)}})), values(type));
  for (const at::ScalarType type : {at::kByte, at::kBool})
    expect_holds(open(safetensors({{"note", values(at::kFloat)}, {"mask", values(type)}})),
                 values(type));
}

TEST_F(GivenMapsTest, ReadsEveryTypeOfParts) {
  for (const at::ScalarType type :
       {at::kLong, at::kInt, at::kShort, at::kChar, at::kByte, at::kUInt16}) {
    const at::Tensor parts = values(at::kLong).to(type);
    expect_holds(open(npy(parts), GivenKind::parts), values(at::kLong));
    expect_holds(open(safetensors({{"parts", parts}}), GivenKind::parts), values(at::kLong));
  }
}

TEST_F(GivenMapsTest, ReadsRelevanceMapsOfOursThatFitTheImages) {
  MapInfo info{.images = 96, .rows = 4, .columns = 4, .data = data_hash(tiny_.source())};
  const fs::path path = tiny_.path("relevance-2.safetensors");
  const auto write = [&] {
    RelevanceMapWriter writer(path, info, {});
    for (std::int64_t i = 0; i < 96; ++i) writer.put(i, std::vector<float>(16, 0.25f));
    writer.commit();
  };
  write();
  EXPECT_EQ(open(path).map(3), std::vector<float>(16, 0.25f));
  info.data = "0123456789abcdef";
  write();
  EXPECT_NE(refusal(path).find("other images"), std::string::npos);
}

TEST_F(GivenMapsTest, RefusesWhatDoesNotFit) {
  const at::Tensor good = values(at::kFloat);
  const std::string shape = refusal(npy(good.slice(0, 1)));
  EXPECT_NE(shape.find("is of shape [95, 4, 4], but [96, 4, 4] is needed"), std::string::npos)
      << shape;
  refusal(npy(good.view({96, 2, 8})));
  refusal(npy(good.view({96, 16})));
  EXPECT_NE(refusal(npy(values(at::kInt))).find("holds int32; give a .npy file of floating"),
            std::string::npos);
  EXPECT_NE(refusal(npy(good), GivenKind::parts).find("whole numbers"), std::string::npos);
  EXPECT_NE(refusal(safetensors({{"scores", good}})).find("holds scores (float32)"),
            std::string::npos);
  refusal(safetensors({{"mask", good}}));
  refusal(safetensors({{"relevance", values(at::kByte)}}));
  refusal(tiny_.path("absent.npy"));
}

TEST_F(GivenMapsTest, RefusesDamagedFiles) {
  const fs::path path = safetensors({{"relevance", values(at::kFloat)}});
  std::string bytes = read_text(path);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  write_file(path, bytes);
  refusal(path, GivenKind::hiding, ExitCode::checkpoint);
  write_file(path, bytes.substr(0, bytes.size() - 3));
  refusal(path, GivenKind::hiding, ExitCode::checkpoint);
  write_file(path, "");
  refusal(path, GivenKind::hiding, ExitCode::checkpoint);
  const fs::path array = npy(values(at::kFloat));
  write_file(array, read_text(array).substr(0, 500));
  refusal(array);
  std::string turned = read_text(npy(values(at::kFloat)));
  turned.replace(turned.find("False"), 5, "True ");
  write_file(array, turned);
  EXPECT_NE(refusal(array).find("ascontiguousarray"), std::string::npos);
}

TEST_F(GivenMapsTest, KnowsTheFileThatARunWentBy) {
  const GivenMaps maps = open(npy(values(at::kFloat)));
  nlohmann::json state = nlohmann::json::object();
  EXPECT_NO_THROW(maps.check_same(state)) << "of a run whose masks were random";
  maps.save(state);
  EXPECT_NO_THROW(maps.check_same(state));
  const GivenMaps other = open(npy(values(at::kFloat).add(1)));
  const std::string said = error_of(ExitCode::usage, [&] { other.check_same(state); });
  EXPECT_NE(said.find("another file"), std::string::npos) << said;
}

}  // namespace
}  // namespace sgmae
