// Oracle: nlohmann::ordered_json::parse on text without NaN; the values written here.
#include "sgmae/report/json_text.h"

#include <gtest/gtest.h>

namespace sgmae {
namespace {

TEST(JsonText, IsJson) {
  for (const char* text :
       {"{}", "[1, 2.5, \"a\\\"]b\"]", "{\"a\": {\"b\": [null, true]}}", "3", "\"\\\\\""})
    EXPECT_EQ(parse_json(text), nlohmann::ordered_json::parse(text)) << text;
}

TEST(JsonText, NanIsNullOutsideOfTexts) {
  const auto json = parse_json(R"({"a": NaN, "b": [-Infinity, Infinity], "c": "NaN \" Infinity"})");
  EXPECT_EQ(json.dump(), R"({"a":null,"b":[null,null],"c":"NaN \" Infinity"})");
}

TEST(JsonText, OtherTextsAreDiscarded) {
  for (const char* text :
       {"", "{", "{\"a\":", "nan", "[1,]", "{\"a\":1} x", "\"a\\", "\xFF", "]]]]", "Na"})
    EXPECT_TRUE(parse_json(text).is_discarded()) << text;
}

TEST(JsonText, DepthIsLimited) {
  const auto nested = [](int depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(parse_json(nested(deepest_json)).is_array());
  EXPECT_TRUE(parse_json(nested(deepest_json + 1)).is_discarded());
  EXPECT_TRUE(parse_json(nested(1000000)).is_discarded());
  EXPECT_TRUE(parse_json("\"" + nested(1000) + "\"").is_string());
}

}  // namespace
}  // namespace sgmae
