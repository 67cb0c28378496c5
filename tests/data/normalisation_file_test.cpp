// Oracle: means and deviations of few numbers, by hand.
#include "sgmae/data/normalisation_file.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "sgmae/data/inspect.h"
#include "tests/data/arrays.h"

namespace sgmae {
namespace {

TEST(NormalisationFile, SumsLeaveOutNoData) {
  StoredValues stored;
  stored.nodata = -1;
  Bands bands;
  reshape(bands, {2, 2}, 2);
  bands.values = {1, 5, 3, -1, 5, std::numeric_limits<float>::quiet_NaN(), 7, -1};
  ChannelSums sums;
  sums.add(bands, stored);
  EXPECT_EQ(sums.count, (std::vector<std::int64_t>{4, 1}));
  EXPECT_EQ(sums.mean(0), 4);
  EXPECT_EQ(sums.deviation(0), std::sqrt(5.0));
  EXPECT_EQ(sums.lowest, (std::vector<float>{1, 5}));
  EXPECT_EQ(sums.highest, (std::vector<float>{7, 5}));
  const Normalisation normalisation = normalisation_of(sums, stored);
  EXPECT_EQ(normalisation.mean, (std::vector<float>{4, 5}));
  EXPECT_EQ(normalisation.std[1], 1);  // the same everywhere
  EXPECT_EQ(normalisation.stored, stored);
}

TEST(NormalisationFile, MeasuredAlikeByAnyNumberOfThreads) {
  const ArrayFolder data(40, 5);
  const auto source = open_source(data.path());
  const Normalisation one = measure_normalisation(*source, 1, 1000).normalisation;
  const MeasuredNormalisation three = measure_normalisation(*source, 3, 1000);
  EXPECT_EQ(three.images, 40);
  EXPECT_EQ(one.mean, three.normalisation.mean);
  EXPECT_EQ(one.std, three.normalisation.std);
  const DataStats stats = inspect_data(*source, 2);  // of the same images in the same order
  for (std::size_t c = 0; c < 5; ++c) {
    EXPECT_EQ(one.mean[c], static_cast<float>(stats.mean[c]));
    EXPECT_EQ(one.std[c], static_cast<float>(stats.std[c]));
  }
  EXPECT_EQ(measure_normalisation(*source, 2, 10).images, 10);
}

TEST(NormalisationFile, ReadAsWritten) {
  const TemporaryFolder folder;
  StoredValues stored;
  stored.nodata = -9999;
  stored.pages = Pages::channels;
  stored.axes = ArrayAxes::chw;
  stored.picture = {3, 2, 1};
  const Normalisation normalisation{{1.5f, 1e6f, -2}, {0.25f, 3e5f, 7}, stored};
  folder.write("n.json", to_json(normalisation).dump());
  const Normalisation read = read_normalisation(folder.path("n.json"));
  EXPECT_EQ(read.mean, normalisation.mean);
  EXPECT_EQ(read.std, normalisation.std);
  EXPECT_EQ(read.stored, normalisation.stored);
  folder.write("photos.json", to_json(Normalisation{{0.5f}, {0.25f}}).dump());
  EXPECT_FALSE(read_normalisation(folder.path("photos.json")).stored);
}

TEST(NormalisationFile, MalformedFilesAreNamed) {
  const TemporaryFolder folder;
  for (const char* text :
       {"", "[]", "{}", R"({"mean": [1], "std": [1]})",
        R"({"values": "16bit", "mean": [1], "std": [1]})",
        R"({"values": "stored", "mean": [], "std": []})",
        R"({"values": "stored", "mean": [1], "std": [0]})",
        R"({"values": "stored", "mean": [1, 2], "std": [1]})",
        R"({"values": "stored", "mean": ["a"], "std": [1]})",
        R"({"values": "stored", "mean": [1], "std": [1], "stored_values": {"nodata": "none"}})"}) {
    folder.write("n.json", text);
    const std::string why =
        error_of(ExitCode::data, [&] { read_normalisation(folder.path("n.json")); });
    EXPECT_NE(why.find("n.json"), std::string::npos) << why;
    EXPECT_NE(why.find("data stats"), std::string::npos) << why;
  }
}

}  // namespace
}  // namespace sgmae
