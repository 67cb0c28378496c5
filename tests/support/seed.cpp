// Every suite draws the same numbers each time: LibTorch's own seed is another one in every
// process, and of many drawings some come too near to what rounding is allowed.
#include <ATen/Context.h>
#include <gtest/gtest.h>

namespace {

class Seed : public testing::Environment {
  void SetUp() override { at::manual_seed(0); }
};

[[maybe_unused]] const auto* const seed = testing::AddGlobalTestEnvironment(new Seed);

}  // namespace
