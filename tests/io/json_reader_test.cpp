// Oracle: nlohmann's parser, on documents written by hand and on thousands broken at random: the
// same are accepted, with the same contents.
#include "sgmae/io/json_reader.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <random>

#include "tests/support/errors.h"

namespace sgmae {
namespace {

using nlohmann::json;
using Kind = JsonReader::Kind;

json value_of(JsonReader& reader) {
  json value;
  switch (reader.kind()) {
    case Kind::object:
      value = json::object();
      reader.object([&](std::string_view key) {
        const std::string name(key);
        value[name] = value_of(reader);
      });
      return value;
    case Kind::array:
      value = json::array();
      reader.array([&] { value.push_back(value_of(reader)); });
      return value;
    case Kind::text:
      return std::string(reader.text());
    case Kind::number:
      return reader.number();
    case Kind::boolean:
      return reader.boolean();
    case Kind::null:
      break;
  }
  reader.skip();
  return value;
}

// The value, or nothing for what is no JSON. Reading over it must say the same.
std::optional<json> ours(const std::string& text) {
  std::optional<json> value;
  try {
    JsonReader reader(text, "a.json");
    value = value_of(reader);
    reader.finish();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::data);
    value.reset();
  }
  bool skipped = true;
  try {
    JsonReader reader(text, "a.json");
    reader.skip();
    reader.finish();
  } catch (const Error&) {
    skipped = false;
  }
  EXPECT_EQ(value.has_value(), skipped) << text;
  return value;
}

// A number beyond double's range, which is infinite to us and an error to nlohmann.
const json beyond_double = "beyond double";

std::optional<json> theirs(const std::string& text) {
  try {
    // Numbers as doubles, as ours.
    const std::function<json(const json&)> plain = [&](const json& value) {
      json copy = value;
      if (value.is_number()) return json(value.get<double>());
      if (value.is_structured())
        for (auto& member : copy) member = plain(member);
      return copy;
    };
    return plain(json::parse(text));
  } catch (const json::out_of_range&) {
    return beyond_double;
  } catch (const json::exception&) {
    return {};
  }
}

const std::vector<std::string> documents{
    R"({"a": [1, -2.5e3, 0, -0, 0.5E-2, 1e+2], "b": {"c": null, "d": true, "e": false}, "": []})",
    R"(["", "plain", "\"\\\/\b\f\n\r\t", "\u00e9\u20ac\ud83d\ude00", "Grüße, 世界 😀", {}])",
    "\xef\xbb\xbf [1]",
    " \t\r\n 7 \n",
    "\"text\"",
    "null",
    "[[[[[[]]]]]]",
    "{\"a\":{\"a\":{}}}",
    R"({"a": 1, "a": 2})",
    "123456789012345678901234567890",
    "1e-400",
    "[1.7976931348623157e308]"};

TEST(JsonReader, ReadsWhatNlohmannReads) {
  for (const std::string& text : documents) {
    ASSERT_TRUE(theirs(text).has_value()) << text;
    EXPECT_EQ(ours(text), theirs(text)) << text;
  }
}

TEST(JsonReader, RefusesWhatNlohmannRefuses) {
  for (const char* text : {"",
                           " ",
                           "{",
                           "[",
                           "[1",
                           "[1,",
                           "[1,]",
                           "[,]",
                           "{\"a\"",
                           "{\"a\":",
                           "{\"a\":1",
                           "{\"a\":1,",
                           "{\"a\":1,}",
                           "{a:1}",
                           "{1:1}",
                           "{\"a\" 1}",
                           "[1 2]",
                           "]",
                           "[}",
                           "{]",
                           "[1]]",
                           "1 2",
                           "01",
                           "-",
                           "+1",
                           ".5",
                           "1.",
                           "1.e3",
                           "1e",
                           "1e+",
                           "0x1",
                           "tru",
                           "True",
                           "nul",
                           "nan",
                           "inf",
                           "\"",
                           "\"a",
                           "\"\\",
                           "\"\\x\"",
                           "\"\\u12\"",
                           "\"\\u123g\"",
                           "\"\\ud800\"",
                           "\"\\ud800\\u0041\"",
                           "\"\\udc00\"",
                           "\"\n\"",
                           "\"\x01\"",
                           "\"\xff\"",
                           "\"\xc0\x80\"",
                           "\"\xe0\x80\x80\"",
                           "\"\xed\xa0\x80\"",
                           "\"\xf4\x90\x80\x80\"",
                           "\"\xf5\x80\x80\x80\"",
                           "\"\xe2\x82\"",
                           "\"\xc3\"",
                           "'a'",
                           "// a\n1",
                           "[1]\x01",
                           "\xef\xbb 1"}) {
    EXPECT_FALSE(theirs(text).has_value()) << text;
    EXPECT_FALSE(ours(text).has_value()) << text;
  }
}

// Bytes changed, left out, doubled and put in. A byte 0 ends a document for nlohmann.
TEST(JsonReader, AgreesOnBrokenDocuments) {
  std::mt19937 draw(7);
  const std::string bytes = "{}[]\",:\\ue09.-+ntf\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\n";
  std::size_t accepted = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string text = documents[draw() % documents.size()];
    for (unsigned changes = 1 + draw() % 3; changes > 0 && !text.empty(); --changes) {
      const std::size_t at = draw() % text.size();
      const char byte = bytes[draw() % bytes.size()];
      switch (draw() % 4) {
        case 0:
          text[at] = byte;
          break;
        case 1:
          text.erase(at, 1);
          break;
        case 2:
          text.insert(at, 1, byte);
          break;
        default:
          text.resize(at);
      }
    }
    const auto mine = ours(text), other = theirs(text);
    if (other == beyond_double) continue;
    ASSERT_EQ(mine.has_value(), other.has_value()) << text;
    if (!mine) continue;
    ASSERT_EQ(*mine, *other) << text;
    ++accepted;
  }
  EXPECT_GT(accepted, 1000u);
}

TEST(JsonReader, TakesWhatPythonWritesForNumbers) {
  const std::string text = "[NaN, Infinity, -Infinity, 1e999, -1e999, 1e-999]";
  JsonReader reader(text, "a.json");
  std::vector<double> numbers;
  reader.array([&] { numbers.push_back(reader.number()); });
  ASSERT_EQ(numbers.size(), 6u);
  EXPECT_TRUE(std::isnan(numbers[0]));
  constexpr double inf = std::numeric_limits<double>::infinity();
  EXPECT_EQ((std::vector<double>(numbers.begin() + 1, numbers.end())),
            (std::vector<double>{inf, -inf, inf, -inf, 0}));
}

TEST(JsonReader, ErrorsSayWhereAndWhat) {
  const auto why = [](const std::string& text) {
    return error_of(ExitCode::data, [&] {
      JsonReader reader(text, "a.json");
      reader.array([&] { reader.number(); });
      reader.finish();
    });
  };
  EXPECT_EQ(why("[1, 2"), "a.json is damaged: it ends after 5 bytes, expected a comma or ]");
  EXPECT_EQ(why("[1 2]"), "a.json is damaged at byte 3: expected a comma or ]");
  EXPECT_EQ(why("[1, {}]"), "a.json, byte 4: expected a number, found an object");
  EXPECT_EQ(why("[1] x"), "a.json is damaged at byte 4: expected nothing more");
}

// In memory and time that the text bounds.
TEST(JsonReader, SkipsAnyDepth) {
  const std::string open(2'000'000, '['), closed(2'000'000, ']');
  EXPECT_FALSE([&] {
    try {
      JsonReader reader(open, "a.json");
      reader.skip();
      return true;
    } catch (const Error&) {
      return false;
    }
  }());
  const std::string all = open + closed;
  JsonReader reader(all, "a.json");
  reader.skip();
  reader.finish();
}

TEST(JsonReader, BeginsAnywhere) {
  const std::string text = R"({"a": [1, 2], "b": 3})";
  JsonReader reader(text, "a.json", text.find('['));
  EXPECT_EQ(value_of(reader), json::parse("[1.0, 2.0]"));
}

TEST(WholeNumber, InAnySpelling) {
  EXPECT_EQ(whole_number("7"), 7);
  EXPECT_EQ(whole_number("-7.0"), -7);
  EXPECT_EQ(whole_number("7e2"), 700);
  EXPECT_EQ(whole_number("9223372036854775807"), INT64_MAX);
  for (const char* text : {"", "7.5", "x", "7x", " 7", "9223372036854775808", "1e78", "nan", "inf"})
    EXPECT_FALSE(whole_number(text).has_value()) << text;
}

}  // namespace
}  // namespace sgmae
