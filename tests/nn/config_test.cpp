// Oracle: the published sizes behind a name; the words of errors.
#include "sgmae/nn/config.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

std::string refusal(const std::function<void(VitConfig&)>& spoil) {
  VitConfig config;
  spoil(config);
  try {
    check_config(config);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    return error.what();
  }
  return "";
}

TEST(Config, TakesWhatViTDetAndBeitAre) {
  EXPECT_EQ(refusal([](VitConfig& c) {
              c.class_token = c.final_norm = false;
              c.attention.assign(12, {14, RelativePosition::decomposed});
              c.attention[2].window = 0;
            }),
            "");
  EXPECT_EQ(refusal([](VitConfig& c) {
              c.position_embedding = false;
              c.attention.assign(12, {0, RelativePosition::bias});
            }),
            "");
}

TEST(Config, SaysWhatDoesNotFitAndWhatToDo) {
  const std::pair<std::function<void(VitConfig&)>, const char*> cases[] = {
      {[](VitConfig& c) { c.attention.resize(3); }, "3 blocks of 12; set it for all of them"},
      {[](VitConfig& c) {
         c.attention.assign(12, {-1, RelativePosition::none});
       },
       "block 0 has a window of -1"},
      {[](VitConfig& c) {
         c.attention.assign(12, {14, RelativePosition::none});
       },
       "windows, which do not work with a class token; use a model without"},
      {[](VitConfig& c) {
         c.attention.assign(12, {0, RelativePosition::decomposed});
       },
       "relative positions, which do not work with a class token"},
      {[](VitConfig& c) {
         c.registers = 2;
         c.attention.assign(12, {0, RelativePosition::bias});
       },
       "which do not work with registers; use a model without"},
      {[](VitConfig& c) { c.class_token = false, c.classes = 3; },
       "uses the class token, which this model does not have; use mean pooling"}};
  for (const auto& [spoil, words] : cases)
    EXPECT_NE(refusal(spoil).find(words), std::string::npos) << refusal(spoil);
}

// Sizes whose products would not fit their type, or that ask for all memory there is.
TEST(Config, RefusesSizesThatNoModelHas) {
  EXPECT_NE(refusal([](VitConfig& c) { c.height = c.width = 65536; }).find("input height is 65536"),
            std::string::npos);
  EXPECT_NE(refusal([](VitConfig& c) {
              c.height = c.width = 32768;
              c.patch_size = 8;
            }).find("the number of patches"),
            std::string::npos);
  EXPECT_NE(refusal([](VitConfig& c) { c.size.dim = std::int64_t{1} << 62; }).find("dim is"),
            std::string::npos);
  EXPECT_NE(refusal([](VitConfig& c) { c.size.depth = 65536; }).find("depth is 65536"),
            std::string::npos);
}

TEST(Config, NamesThatPublishedModelsHave) {
  const MaeConfig huge = named_config("mae_vit_huge_patch14");
  EXPECT_EQ(huge.encoder.dim, 1280);
  EXPECT_EQ(huge.encoder.depth, 32);
  EXPECT_EQ(huge.patch_size, 14);
  EXPECT_THROW(named_config("vit_giant_patch14"), Error);
}

}  // namespace
}  // namespace sgmae
