// Oracle: values written here.
#include "sgmae/eval/stored_values.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/support/errors.h"
#include "tests/support/tensors.h"

namespace sgmae {
namespace {

TEST(StoredValues, MissingUnfitAndBrokenOnesNameTheFileAndTheTensor) {
  const at::Tensor own = at::zeros({2, 3});
  const auto message = [&](const at::Tensor& value) {
    return error_of(ExitCode::checkpoint, [&] { copy_value("a.safetensors", "head", value, own); });
  };
  for (const at::Tensor& value :
       {at::ones({3, 2}), at::full({2, 3}, std::numeric_limits<float>::infinity())}) {
    EXPECT_NE(message(value).find("a.safetensors"), std::string::npos);
    EXPECT_NE(message(value).find("head"), std::string::npos);
  }
  EXPECT_NE(error_of(ExitCode::checkpoint, [] { find_or_fail({}, "neck", "a.safetensors"); })
                .find("'neck' is missing"),
            std::string::npos);
  copy_value("a.safetensors", "head", at::ones({2, 3}), own);
  EXPECT_TRUE(at::equal(own, at::ones({2, 3})));
}

// Positions of one grid become those of a larger one; the class token's is left out where the model
// has none, and stays where it has one.
TEST(StoredValues, PositionsFollowToTheModelsGrid) {
  VitConfig from;
  from.height = from.width = 32;
  from.patch_size = 16;
  from.size = {4, 1, 1};
  VitConfig to = from;
  to.height = to.width = 64;
  const at::Tensor stored = noise({1, 5, 4}, 1);
  for (const bool class_token : {true, false}) {
    to.class_token = class_token;
    Parameter parameter{"pos_embed", at::zeros({1, 16 + class_token, 4}), {}};
    copy_backbone_value("a.safetensors", stored, from, PositionResize::plain, to, parameter);
    const at::Tensor patches = parameter.value.narrow(1, class_token, 16);
    EXPECT_NEAR(patches.mean().item<double>(), stored.narrow(1, 1, 4).mean().item<double>(), 1e-5);
    if (class_token) {
      EXPECT_TRUE(at::equal(parameter.value.select(1, 0), stored.select(1, 0)));
    }
  }
}

}  // namespace
}  // namespace sgmae
