// Oracle: the table of torch's own element sizes and names.
#include "sgmae/io/tensors.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <stdexcept>

namespace sgmae {
namespace {

TEST(Tensors, TypesAgreeWithTorchs) {
  for (const DTypeInfo& entry : kDTypes) {
    EXPECT_EQ(info(entry.type).type, entry.type);
    EXPECT_EQ(at::elementSize(scalar_type(entry.type)), entry.bytes) << entry.name;
    EXPECT_EQ(dtype_of(at::empty({1}, scalar_type(entry.type))), entry.type) << entry.name;
    EXPECT_EQ(find_dtype(&DTypeInfo::name, entry.name), entry.type);
    EXPECT_EQ(find_dtype(&DTypeInfo::torch, entry.torch), entry.type);
    if (*entry.storage) {
      EXPECT_EQ(entry.storage, toString(scalar_type(entry.type)) + std::string("Storage"));
    }
  }
  EXPECT_FALSE(find_dtype(&DTypeInfo::numpy, ""));  // bf16 has no name there
  EXPECT_THROW(dtype_of(at::zeros({1}, at::kComplexDouble)), std::logic_error);
}

TEST(Tensors, BytesAreCountedWithoutOverflow) {
  using Shape = std::vector<std::int64_t>;
  const auto bytes = [](const Shape& shape) { return tensor_bytes(4, shape, 1000); };
  EXPECT_EQ(bytes({}), 4u);
  EXPECT_EQ(bytes({10, 25}), 1000u);
  EXPECT_FALSE(bytes({10, 26}));
  EXPECT_EQ(bytes({10'000, 0}), 0u);
  constexpr std::int64_t kHuge = std::int64_t{1} << 62;
  EXPECT_FALSE(bytes({kHuge, 4}));
  EXPECT_FALSE(bytes({kHuge, kHuge, 0}));
  EXPECT_FALSE(bytes({-1, -1}));
  EXPECT_FALSE(tensor_bytes(8, Shape{}, 7));
}

TEST(Tensors, AreFoundByName) {
  const NamedTensors tensors{{"a", at::zeros({1})}, {"b", at::zeros({2})}};
  ASSERT_TRUE(find_tensor(tensors, "b"));
  EXPECT_EQ(find_tensor(tensors, "b")->numel(), 2);
  EXPECT_EQ(find_tensor(tensors, "c"), nullptr);
}

}  // namespace
}  // namespace sgmae
