// Oracle: values written out by hand.
#include "sgmae/base/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

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

TEST(JsonNumber, WhatIsNotFiniteSurvivesTheTrip) {
  const double infinity = std::numeric_limits<double>::infinity(), nan = std::nan("");
  const json value{{"list", {1.5, infinity, json{{"deep", -infinity}}}}, {"nan", nan}, {"n", 3}};
  const std::string text = json_text(value);
  EXPECT_EQ(text, R"({"list":[1.5,"inf",{"deep":"-inf"}],"n":3,"nan":"nan"})");
  const json back = json::parse(text);
  EXPECT_EQ(json_number(back["list"][0]), 1.5);
  EXPECT_EQ(json_number(back["list"][1]), infinity);
  EXPECT_EQ(json_number(back["list"][2]["deep"]), -infinity);
  EXPECT_TRUE(std::isnan(json_number(back["nan"])));
  EXPECT_EQ(json_number(back["n"]), 3);
  EXPECT_TRUE(std::isnan(json_number(json()))) << "what older versions wrote";
  EXPECT_EQ(json_numbers(json::parse(R"([1, "inf", null])")).size(), 3u);
  for (const json& other : {json("text"), json("NaN"), json::array({1.0})})
    EXPECT_THROW(json_number(other), json::exception) << other;
  EXPECT_THROW(json_numbers(json(3)), json::exception);
}

}  // namespace
}  // namespace sgmae
