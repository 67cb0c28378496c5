// Oracle: the words of the command line.
#include "sgmae/data/options.h"

#include <gtest/gtest.h>

namespace sgmae {
namespace {

struct Example : DataOptions {
  void declare(Options& o) { DataOptions::declare(o, "images"); }
  using DataOptions::check;
};

TEST(DataOptions, BindAndSayWhatResultsDoNotDependOn) {
  Example example;
  Options options;
  example.declare(options);
  options.set("data_path", "here", "--data_path");
  options.set("data.data_format", "idx", "--set");
  options.set("num_workers", "0", "--num_workers");
  EXPECT_EQ(example.data_path, "here");
  EXPECT_EQ(example.data_format, DataFormat::idx);
  for (const OptionInfo& option : options.all()) EXPECT_TRUE(option.changeable) << option.name;
  EXPECT_NO_THROW(example.check());
  example.num_workers = -1;
  EXPECT_THROW(example.check(), Error);
}

}  // namespace
}  // namespace sgmae
