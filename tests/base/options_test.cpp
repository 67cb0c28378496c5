#include "sgmae/base/options.h"

#include <gtest/gtest.h>

namespace sgmae {
namespace {

enum class Fruit { apple, pear };

struct Example {
  std::string name = "x";
  bool loud = false;
  int count = 1;
  double ratio = 0.75;
  Fruit fruit = Fruit::apple;

  void declare(Options& o) {
    o.section("one");
    o.add("name", name, "a name");
    o.add("loud", loud, "a flag");
    o.section("two");
    o.add("count", count, "a count");
    o.add("ratio", ratio, "a ratio");
    o.add("fruit", fruit, {{"apple", Fruit::apple}, {"pear", Fruit::pear}}, "a choice");
  }
};

std::string message_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    return error.what();
  }
  return "nothing thrown";
}

TEST(Options, PrintedTomlReadsBackTheSame) {
  Example a, b;
  Options first, second;
  a.declare(first);
  b.declare(second);
  first.set("name", "say \"hi\" \\ there\n\x01", "test");
  first.set("two.fruit", "pear", "test");
  first.set("ratio", "1e-7", "test");
  first.set("loud", "true", "test");
  second.load_toml(first.to_toml(), "printed");
  EXPECT_EQ(b.name, a.name);
  EXPECT_EQ(b.fruit, Fruit::pear);
  EXPECT_EQ(b.ratio, 1e-7);
  EXPECT_TRUE(b.loud);
  EXPECT_EQ(first.to_toml(), second.to_toml());
}

TEST(Options, ErrorsNameThePlaceAndTheNearestWord) {
  Example example;
  Options options;
  example.declare(options);
  EXPECT_EQ(message_of([&] { options.set("rato", "1", "--rato"); }),
            "--rato: unknown option 'rato'; did you mean 'ratio'?");
  EXPECT_EQ(message_of([&] { options.set("count", "1.5", "--count"); }),
            "--count: count: '1.5' is not an integer");
  EXPECT_EQ(message_of([&] { options.set("fruit", "plum", "f"); }),
            "f: fruit: 'plum' is not one of apple, pear");
  EXPECT_EQ(message_of([&] { options.load_toml("[two]\ncuont = 3\n", "r.toml"); }),
            "r.toml:2: unknown option 'two.cuont'; did you mean 'two.count'?");
  EXPECT_EQ(message_of([&] { options.load_toml("count = 3\n", "r.toml"); }),
            "r.toml: 'count' is outside a [section]");
  EXPECT_NE(message_of([&] { options.load_toml("[two\n", "r.toml"); }).find("r.toml:1"),
            std::string::npos);
}

TEST(Options, ChoicesMayBeWrittenWithDashesAndInCapitals) {
  std::string strategy = "random", unit = "mb";
  Options options;
  options.add("strategy", strategy, {"random", "self_guided", "block_wise"}, "");
  options.add("unit", unit, {"mb", "MB"}, "");
  for (const char* text : {"self_guided", "self-guided", "Self-Guided"}) {
    strategy = "random";
    options.set("strategy", text, "f");
    EXPECT_EQ(strategy, "self_guided") << text;
  }
  EXPECT_EQ(message_of([&] { options.set("strategy", "self-guded", "f"); }),
            "f: strategy: 'self-guded' is not one of random, self_guided, block_wise; did you mean "
            "'self_guided'?");
  options.set("unit", "MB", "f");
  EXPECT_EQ(unit, "MB") << "what is written exactly so comes first";
}

TEST(Options, MalformedTomlIsRefused) {
  Example example;
  Options options;
  example.declare(options);
  for (const char* text :
       {"[=]", "[", "[one", "[[one]]", "[one]\nname =", "name = \"x\"", "[one]\nname = é", "\x01"})
    EXPECT_NE(message_of([&] { options.load_toml(text, "bad.toml"); }), "nothing thrown") << text;
}

TEST(Options, CollectsWhatIsGivenSeveralTimes) {
  std::vector<std::string> values;
  Options options;
  options.section("one");
  options.add("file", values, "files");
  options.set("file", "a", "--file");
  options.set("file", "b c", "--file");
  EXPECT_EQ(values, (std::vector<std::string>{"a", "b c"}));
  EXPECT_EQ(options.to_toml(), "[one]\nfile = \"a, b c\"\n");
}

}  // namespace
}  // namespace sgmae
