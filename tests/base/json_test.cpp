// Oracle: values written out by hand.
#include "sgmae/base/json.h"

#include <gtest/gtest.h>

namespace sgmae {
namespace {

using nlohmann::json;

TEST(JsonValue, GivesNothingForAnotherType) {
  const json object{{"n", 3}, {"x", 0.5}, {"t", "text"}, {"b", false}};
  EXPECT_EQ(json_value<std::int64_t>(object, "n"), 3);
  EXPECT_EQ(json_value<double>(object, "n"), 3.0);
  EXPECT_EQ(json_value<std::int64_t>(object, "x"), std::nullopt);
  EXPECT_EQ(json_value<std::string>(object, "t"), "text");
  EXPECT_EQ(json_value<bool>(object, "b"), false);
  EXPECT_EQ(json_value<bool>(object, "n"), std::nullopt);
  EXPECT_EQ(json_value<std::int64_t>(json(1.1e78)), std::nullopt);
  EXPECT_EQ(json_value<double>(json(1.1e78)), 1.1e78);
  EXPECT_EQ(json_value<double>(json("text"), "x"), std::nullopt);
  EXPECT_TRUE(json_member(object, "absent").is_null());
  EXPECT_TRUE(json_member(json("text"), "absent").is_null());
}

}  // namespace
}  // namespace sgmae
