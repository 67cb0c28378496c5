// Oracle: what the format says; hub_card_test.cpp holds whole cards against `datasets`.
#include "sgmae/data/card_file.h"

#include <gtest/gtest.h>

#include <utility>

#include "tests/support/errors.h"

namespace sgmae {
namespace {

TEST(CardFile, SaysWhichFilesAreWhichSplit) {
  const auto configs = parse_card(
      "---\nlicense: mit\nconfigs:\n- config_name: a\n  data_files: [x/*, 7]\n"
      "- config_name: b\n  default: true\n  data_dir: deep\n  data_files:\n"
      "  - {split: test, path: y}\n- config_name: c\n  features: 3\n---\nconfigs: no\n");
  ASSERT_EQ(configs.size(), 3u);
  ASSERT_EQ(configs[0].splits.size(), 1u);
  EXPECT_EQ(configs[0].splits[0].name, "train");
  EXPECT_EQ(configs[0].splits[0].patterns, (std::vector<std::string>{"x/*", "7"}));
  EXPECT_FALSE(configs[0].is_default);
  EXPECT_TRUE(configs[1].is_default);
  EXPECT_EQ(configs[1].folder, "deep");
  EXPECT_EQ(configs[1].splits[0].name, "test");
  EXPECT_EQ(configs[2].name, "c");
  EXPECT_TRUE(configs[2].splits.empty());
}

TEST(CardFile, ErrorsSayWhereTheHeaderIsWrong) {
  for (const auto& [header, said] : std::vector<std::pair<std::string, std::string>>{
           {"configs: 3", "no list"},
           {"configs:\n- data_files: x", "config_name"},
           {"configs:\n- config_name: [x", "line 4"},
           {"configs:\n- config_name: [x]", "config_name is not a text"},
           {"configs:\n- config_name: x\n  data_files: [a, [b]]", "data_files is not a text"},
           {"configs:\n- config_name: x\n  data_files:\n  - split: a\n    path: {b: c}", "path"},
           {"configs:\n- config_name: x\n  data_files:\n  - split: a", "no split or no path"},
           {"configs:\n- config_name: x\n  data_files: *gone", "line 4"},
           {"configs: " + std::string(5000, '['), "YAML"}}) {
    const std::string error =
        error_of(ExitCode::data, [&] { parse_card("---\n" + header + "\n---\n"); });
    EXPECT_NE(error.find(said), std::string::npos) << header.substr(0, 99) << "\n" << error;
  }
}

}  // namespace
}  // namespace sgmae
