// Oracle: indices written out by hand, as save_pretrained writes them.
#include "sgmae/io/shard_index.h"

#include <gtest/gtest.h>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

std::string complaint(const std::string& text) {
  try {
    parse_shard_index(text, "model.safetensors.index.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::checkpoint);
    EXPECT_TRUE(std::string(error.what()).starts_with("model.safetensors.index.json "));
    return error.what();
  }
  return "";
}

TEST(ShardIndex, GroupsNamesByFile) {
  const ShardIndex index = parse_shard_index(
      R"({"metadata": {"total_size": 12}, "weight_map": {"a": "1.safetensors", "b": "2.safetensors",
          "c": "1.safetensors"}})",
      "index");
  EXPECT_EQ(index, (ShardIndex{{"1.safetensors", {"a", "c"}}, {"2.safetensors", {"b"}}}));
}

TEST(ShardIndex, RefusesWhatIsNone) {
  for (const char* text : {"", "[]", "{", "\xff", "3", R"({"weight_map": {"a": "b"})"})
    EXPECT_NE(complaint(text).find("not a JSON object"), std::string::npos) << text;
  for (const char* text : {"{}", R"({"weight_map": {}})", R"({"weight_map": ["a"]})"})
    EXPECT_NE(complaint(text).find("without a weight_map"), std::string::npos) << text;
}

TEST(ShardIndex, NeverLeadsOutOfItsFolder) {
  for (const char* file : {R"("../other.safetensors")", R"("/etc/passwd")", R"("")", "3", "null"})
    EXPECT_NE(complaint(str(R"({"weight_map": {"w": )", file, "}}")).find("for the tensor w"),
              std::string::npos)
        << file;
}

}  // namespace
}  // namespace sgmae
