// Oracle: the words of the command line.
#include "sgmae/data/options.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

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
  EXPECT_EQ(example.data_format.kind, DataFormat::idx);
  options.set("label_key", "species", "--label_key");
  EXPECT_EQ(example.data_format.label_key, "species");
  EXPECT_EQ(example.data_format.keys().kind, DataFormat::automatic);
  // Which file is the image changes the result; where it lies and how it is read does not.
  const std::set<std::string> read_otherwise{"image_key", "label_key",  "values",
                                             "pages",     "array_axes", "nodata"};
  for (const OptionInfo& option : options.all())
    EXPECT_EQ(option.changeable, !read_otherwise.contains(option.name)) << option.name;
  EXPECT_NO_THROW(example.check());
  example.num_workers = -1;
  EXPECT_THROW(example.check(), Error);
}

}  // namespace
}  // namespace sgmae
