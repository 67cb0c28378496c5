// Oracle: the table of torch's own element sizes and names.
#include "sgmae/io/tensors.h"

#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <stdexcept>

namespace sgmae {
namespace {

TEST(Tensors, TypesAgreeWithTorchs) {
  for (const DTypeInfo& entry : kDTypes) {
    EXPECT_EQ(info(entry.type).type, entry.type);
    EXPECT_EQ(at::elementSize(scalar_type(entry.type)), entry.bytes) << entry.name;
    EXPECT_EQ(dtype_of(at::zeros({1}, scalar_type(entry.type))), entry.type) << entry.name;
    EXPECT_EQ(find_dtype(&DTypeInfo::name, entry.name), entry.type);
    EXPECT_EQ(entry.storage, toString(scalar_type(entry.type)) + std::string("Storage"));
  }
  EXPECT_FALSE(find_dtype(&DTypeInfo::numpy, ""));  // bf16 has no name there
  EXPECT_THROW(dtype_of(at::zeros({1}, at::kComplexFloat)), std::logic_error);
}

TEST(Tensors, AreFoundByName) {
  const NamedTensors tensors{{"a", at::zeros({1})}, {"b", at::zeros({2})}};
  ASSERT_TRUE(find_tensor(tensors, "b"));
  EXPECT_EQ(find_tensor(tensors, "b")->numel(), 2);
  EXPECT_EQ(find_tensor(tensors, "c"), nullptr);
}

}  // namespace
}  // namespace sgmae
