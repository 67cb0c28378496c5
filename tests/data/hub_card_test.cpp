// Oracle: which files `datasets` reads of folders with cards (tests/golden/cards.py).
#include "sgmae/data/hub_card.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "folder.h"
#include "sgmae/base/file.h"

namespace sgmae {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

const std::vector<std::string> types{"parquet", "arrow"};

class HubCard : public testing::Test {
 protected:
  void make(const std::string& readme, const Names& files) {
    fs::remove_all(folder_.path("set"));
    for (const std::string& file : files) folder_.write("set/" + file, "");
    folder_.write("set/README.md", readme);
  }
  Names paths_in(const Shards& shards) const {
    Names names;
    for (const fs::path& path : shards.paths)
      names.push_back(fs::relative(path, folder_.path("set")).string());
    return names;
  }
  Names read(const std::string& split, const std::string& config = "") const {
    const auto shards = shards_of_card(folder_.path("set" + config), split, types);
    return shards ? paths_in(*shards) : Names{"no card"};
  }
  std::string error(const std::string& split = "train", const std::string& config = "") const {
    return error_of(ExitCode::data, [&] { read(split, config); });
  }
  Folder folder_;
};

// What `datasets` reads of a split, each file once and tables alone.
Names expected_files(const json& golden) {
  Names files;
  for (const std::string file : golden)
    if (file.ends_with(".parquet") && std::find(files.begin(), files.end(), file) == files.end())
      files.push_back(file);
  return files;
}

TEST_F(HubCard, SplitsAreThoseOfDatasets) {
  const json golden = json::parse(read_text(std::string(SGMAE_TEST_DATA) + "/cards.json"));
  ASSERT_GE(golden.size(), 20u);
  const Names usual{"train", "validation", "test"};
  for (const auto& [name, entry] : golden.items()) {
    SCOPED_TRACE(name);
    make(entry["readme"], entry["files"]);
    const auto compare = [&](const json& splits, const std::string& config) {
      for (const auto& [split, files] : splits.items())
        if (std::find(usual.begin(), usual.end(), split) != usual.end()) {
          EXPECT_EQ(read(split == "validation" ? "val" : split, config), expected_files(files));
        }
    };
    if (entry["default"].is_null())
      EXPECT_NE(error().find("README.md"), std::string::npos);
    else
      compare(entry["default"], "");
    for (const auto& [config, splits] : entry["configs"].items()) compare(splits, "/" + config);
  }
}

TEST_F(HubCard, FoldersWithoutAWordOfFiles) {
  for (const std::string readme :
       {"# No header\nconfigs:\n- config_name: x\n  data_files: a.parquet\n",
        "---\nlicense: mit\n---\n", "---\nno end\nconfigs:\n", "", "---",
        "---\nconfigs:\n- config_name: x\n  features: 3\n---\n", "---\n- configs\n---\n",
        "---\nlicense: [damaged\n---\n",
        "---\nconfigs:\n- config_name: x\n  data_files: images/*\n---\n"}) {
    make(readme, {"a.parquet", "images/a.png"});
    EXPECT_EQ(read("train"), Names{"no card"}) << readme;
  }
  EXPECT_FALSE(is_card_config(folder_.path("set")));
  EXPECT_FALSE(shards_of_card(folder_.path("gone"), "train", types).has_value());
}

TEST_F(HubCard, AConfigurationIsNamedBehindTheFolder) {
  make(
      "---\nconfigs:\n- config_name: small\n  data_files: 1.parquet\n- config_name: large\n"
      "  data_files:\n  - split: train\n    path: ['?.parquet']\n---\n",
      {"1.parquet", "2.parquet"});
  EXPECT_TRUE(is_card_config(folder_.path("set/small")));
  EXPECT_TRUE(is_card_config(folder_.path("set/large/")));
  EXPECT_FALSE(is_card_config(folder_.path("set/medium")));
  EXPECT_FALSE(is_card_config(folder_.path("set/1.parquet")));
  EXPECT_EQ(read("train", "/small"), Names{"1.parquet"});
  EXPECT_EQ(read("train", "/large/"), (Names{"1.parquet", "2.parquet"}));
  EXPECT_NE(
      error().find("small, large; give one of them as the path, e.g. " + folder_.path("set/small")),
      std::string::npos)
      << error();
}

TEST_F(HubCard, SplitsThatAreNotThereAreNamed) {
  const std::string head = "---\nconfigs:\n- config_name: x\n  data_files:\n  - split: ";
  make(head + "extra\n    path: a*\n  - split: test\n    path: b*\n---\n",
       {"a.parquet", "b.parquet"});
  EXPECT_NE(error().find("no split for 'train', only extra, test"), std::string::npos) << error();
  EXPECT_EQ(read("val"), Names{"b.parquet"});
  make(head + "sketch\n    path: a*\n  - split: photo\n    path: '*'\n---\n",
       {"a.parquet", "b.parquet"});
  EXPECT_EQ(read("train"), (Names{"a.parquet", "b.parquet"})) << "all, as no name says anything";
  EXPECT_NE(error("val").find("only sketch, photo"), std::string::npos) << error("val");
  make(head + "train\n    path: https://example.org/a.parquet\n---\n", {"a.parquet"});
  EXPECT_NE(error().find("download it"), std::string::npos) << error();
  make(head + "train\n    path: a-*.parquet\n  - split: test\n    path: b*\n---\n", {"b.parquet"});
  EXPECT_NE(error().find("names a-*.parquet for 'train', which is not there; an incomplete"),
            std::string::npos)
      << error();
}

// Links that lead back do not lead on for ever.
TEST_F(HubCard, PatternsOfAnyDepth) {
  make("", {"a/b/c.parquet", "a/c.parquet", "c.parquet"});
  fs::create_directory_symlink("..", folder_.path("set/a/up"));
  const auto found = [&](const std::string& pattern) {
    return paths_in({files_matching(folder_.path("set"), pattern), false, {}, ""});
  };
  EXPECT_EQ(found("**/c.parquet"), (Names{"a/b/c.parquet", "a/c.parquet", "c.parquet"}));
  EXPECT_EQ(found("**/**/*.parquet"), found("**/c.parquet"));
  EXPECT_EQ(found("a/**/c.parquet"), (Names{"a/b/c.parquet", "a/c.parquet"}));
  EXPECT_EQ(found("./a//c.parquet"), Names{"a/c.parquet"});
  EXPECT_EQ(found("a"), Names{});
  EXPECT_EQ(found(""), Names{});
}

}  // namespace
}  // namespace sgmae
