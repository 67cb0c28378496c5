// Oracle: rows as the `datasets` library reads them (tests/golden/tables.py). Needs the plug-in
// that reads Parquet and Arrow; skipped where that was not built.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "folder.h"
#include "sgmae/base/file.h"
#include "sgmae/data/table_file.h"
#include "tests/image/golden.h"

namespace sgmae {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

class TableSource : public testing::Test {
 protected:
  void SetUp() override {
    ::setenv("XDG_CACHE_HOME", folder_.path("cache").c_str(), 1);
    std::string why;
    if (!table_plugin(why)) GTEST_SKIP() << why;
  }
  // A golden file, copied: its index is written beside it.
  std::string copy(const std::string& file, const std::string& as = "") const {
    const fs::path to = folder_.path(as.empty() ? file : as);
    fs::create_directories(to.parent_path());
    fs::copy_file(std::string(SGMAE_TEST_DATA) + "/tables/" + file, to,
                  fs::copy_options::overwrite_existing);
    return to;
  }
  std::unique_ptr<Source> open(const std::string& name = "", const std::string& split = "train",
                               DataFormat format = DataFormat::automatic) const {
    return open_source(folder_.path(name), split, "", format);
  }
  std::string data_error(const std::string& name, DataFormat format = {}) const {
    const std::string text =
        error_of(ExitCode::data, [&] { open_source(folder_.path(name), "train", "", format); });
    EXPECT_NE(text.find(name), std::string::npos) << text;
    return text;
  }
  Folder folder_;
};

json golden_rows() {
  return json::parse(read_text(std::string(SGMAE_TEST_DATA) + "/tables/golden.json"));
}

// The same rows, in the same order, with the same bytes.
TEST_F(TableSource, RowsAreThoseOfDatasets) {
  const json golden = golden_rows();
  ASSERT_GE(golden.size(), 12u);
  for (const auto& [file, expected] : golden.items()) {
    copy(file);
    for (const bool from_index : {false, true}) {
      const auto source = open(file);
      const json& rows = expected["rows"];
      ASSERT_EQ(source->size(), static_cast<std::int64_t>(rows.size())) << file;
      EXPECT_EQ(source->left_out().size(), 0u) << file;
      OpenedImage opened;
      // Backwards, so that nothing depends on the order.
      for (std::int64_t i = source->size() - 1; i >= 0; --i) {
        const json& row = rows[static_cast<std::size_t>(i)];
        source->open(i, opened);
        EXPECT_EQ(fingerprint(opened.bytes), row["bytes"]) << file << "#" << i;
        EXPECT_EQ(source->name(i), str(folder_.path(file), "#", i));
        const std::int64_t label = source->label(i);
        if (row["label"].is_string())
          EXPECT_EQ(source->class_names().at(static_cast<std::size_t>(label)), row["label"]);
        else
          EXPECT_EQ(label, row["label"].is_null() ? -1 : row["label"].get<std::int64_t>());
      }
      if (expected.contains("classes")) {
        EXPECT_EQ(source->class_names(), expected["classes"].get<Names>());
      }
      EXPECT_EQ(fs::exists(folder_.path("." + file + ".sgindex")), true) << from_index;
    }
  }
}

TEST_F(TableSource, ShardsAndPartsByTheirNames) {
  copy("hub.parquet", "set/data/train-00000-of-00002.parquet");
  copy("hub.parquet", "set/data/train-00001-of-00002.parquet");
  copy("hub.parquet", "set/data/test-00000-of-00001.parquet");
  folder_.write("set/README.md", "a card");
  EXPECT_EQ(open("set")->size(), 18);
  EXPECT_EQ(open("set", "val")->size(), 9);
  EXPECT_EQ(open("set/data", "test")->size(), 9);
  EXPECT_EQ(open("set/data/train-{00000..00001}-of-00002.parquet")->size(), 18);
  EXPECT_EQ(open("set/data/train-00001-of-00002.parquet")->size(), 9);
  EXPECT_EQ(open("set/data/train-00001-of-00002.parquet", "val")->size(), 9);

  copy("saved.arrow", "saved/train/data-00000-of-00002.arrow");
  copy("saved.arrow", "saved/train/data-00001-of-00002.arrow");
  copy("saved.arrow", "saved/test/data-00000-of-00001.arrow");
  folder_.write("saved/dataset_dict.json", "{}");
  folder_.write("saved/train/state.json", "{}");
  EXPECT_EQ(open("saved")->size(), 18);
  EXPECT_EQ(open("saved", "test")->size(), 9);
  EXPECT_EQ(open("saved/test")->size(), 9);

  copy("hub.parquet", "two/en/train-0.parquet");
  copy("hub.parquet", "two/fr/train-0.parquet");
  EXPECT_NE(data_error("two").find("en/, "), std::string::npos);
  EXPECT_EQ(open("two/fr")->size(), 9);
  copy("plain.parquet", "mixed/train-1.parquet");
  copy("hub.parquet", "mixed/train-0.parquet");
  EXPECT_NE(data_error("mixed").find("differently"), std::string::npos);
}

// As save_to_disk, map() and filter() leave a folder.
TEST_F(TableSource, SavedFilesAreThoseOfStateJson) {
  const auto state = [](const Names& names) {
    json files = json::array();
    for (const std::string& name : names) files.push_back({{"filename", name}});
    return json{{"_data_files", files}}.dump();
  };
  const std::string one = "train/data-00000-of-00001.arrow";
  for (const std::string& name :
       {one, std::string("train/cache-5fed00aff52f4019.arrow"),
        std::string("train/cache-7_00000_of_00002.arrow"), std::string("test/data.arrow")})
    copy("saved.arrow", "saved/" + name);
  copy("saved.arrow", "saved/train/data-00001-of-00002.arrow");
  EXPECT_EQ(open("saved")->size(), 18) << "without caches";
  for (const Names& names : {Names{"data-00000-of-00001.arrow"},
                             Names{"data-00001-of-00002.arrow", "cache-5fed00aff52f4019.arrow"}}) {
    folder_.write("saved/train/state.json", state(names));
    const auto source = open("saved");
    ASSERT_EQ(source->size(), 9 * static_cast<std::int64_t>(names.size()));
    EXPECT_EQ(source->name(0), folder_.path("saved/train/" + names[0] + "#0")) << "in its order";
    EXPECT_EQ(source->left_out().size(), 0u);
    EXPECT_EQ(open("saved/train")->size(), source->size());
    EXPECT_EQ(open("saved", "val")->size(), 9);
  }
  folder_.write("saved/train/state.json", state({"gone.arrow"}));
  EXPECT_NE(data_error("saved").find("train/gone.arrow, which"), std::string::npos);
  EXPECT_EQ(open("saved/" + one)->size(), 9) << "asked for by name";
  folder_.write("saved/train/state.json", "{\"_data_fi");
  EXPECT_NE(data_error("saved").find("state.json is damaged"), std::string::npos);
}

TEST_F(TableSource, ShardsThatAreMissingAreLost) {
  for (const char* name : {"train-00000-of-00004.parquet", "train-00003-of-00004-a09b74.parquet",
                           "test-00000-of-00001.parquet"})
    copy("hub.parquet", str("set/data/", name));
  const auto lost = [&](const std::string& path, const std::string& split = "train") {
    const auto source = open(path, split);
    return source->left_out().empty() ? 0 : source->left_out()[0].count;
  };
  EXPECT_EQ(lost("set"), 2);
  EXPECT_EQ(lost("set", "val"), 0);
  EXPECT_EQ(lost("set/data/train-00000-of-00004.parquet"), 0) << "asked for alone";
  EXPECT_EQ(open("set")->left_out()[0].weight, LeftOut::Weight::lost);
  folder_.write("set/README.md",
                "---\nconfigs:\n- config_name: x\n  data_files: data/train-00000*\n---\n");
  EXPECT_EQ(lost("set"), 2);
  copy("hub.parquet", "set/data/train-00001-of-00004.parquet");
  copy("hub.parquet", "set/data/train-00002-of-00004.parquet");
  EXPECT_EQ(lost("set"), 0) << "the card takes one of four that are there";
}

TEST_F(TableSource, SplitsByTheCard) {
  copy("hub.parquet", "set/x/part-0.parquet");
  copy("hub.parquet", "set/x/part-1.parquet");
  copy("hub.parquet", "set/x/held.parquet");
  copy("plain.parquet", "set/y.parquet");
  folder_.write(
      "set/README.md",
      "---\nconfigs:\n- config_name: x\n  default: true\n  data_files:\n  - split: train\n"
      "    path: x/p*\n  - split: validation\n    path: x/held.parquet\n"
      "- config_name: plain\n  data_files: y.parquet\n---\n");
  EXPECT_EQ(open("set")->size(), 18);
  EXPECT_EQ(open("set", "val")->size(), 9);
  EXPECT_EQ(open("set/x", "test")->size(), 9);
  EXPECT_EQ(open("set/plain")->size(), 40) << "a name, not a folder";
  EXPECT_EQ(open("set/x/part-1.parquet")->size(), 9);
  error_of(ExitCode::data, [&] { open("set/plain", "val"); });
  error_of(ExitCode::data, [&] { open("set/other"); });
}

TEST_F(TableSource, ColumnsByName) {
  copy("hub.parquet");
  const auto keys = [](const std::string& image, const std::string& label) {
    DataFormat format;
    format.image_key = image;
    format.label_key = label;
    return format;
  };
  EXPECT_EQ(red_of(*open("hub.parquet"), 1), 10);
  EXPECT_EQ(red_of(*open("hub.parquet", "train", keys("mask", "")), 1), 101);
  EXPECT_EQ(red_of(*open("hub.parquet", "train", keys("picture;image", "")), 2), 20);
  EXPECT_EQ(open("hub.parquet", "train", keys("", "caption"))->class_names()[8], "number 8");
  EXPECT_NE(data_error("hub.parquet", keys("picture", "")).find("caption: "), std::string::npos);
  EXPECT_NE(data_error("hub.parquet", keys("caption", "")).find("one image"), std::string::npos);
  EXPECT_NE(data_error("hub.parquet", keys("", "mask")).find("one label"), std::string::npos);
}

// Images that are files beside; rows that have none.
TEST_F(TableSource, PathsInPlaceOfBytes) {
  for (const std::string file : {"paths.parquet", "paths.arrow"}) {
    copy(file, "data/" + file);
    folder_.image("beside/b.png", 200);
    const auto source = open("data/" + file);
    ASSERT_EQ(source->size(), 3);
    EXPECT_EQ(source->labels(), (Ids{4, 4, 7}));
    EXPECT_EQ(red_of(*source, 0), 1);
    EXPECT_EQ(red_of(*source, 1), 200);
    const std::string lost = error_of(ExitCode::data, [&] { red_of(*source, 2); });
    EXPECT_NE(lost.find("beside/c.png"), std::string::npos) << lost;
    ASSERT_EQ(source->left_out().size(), 1u);
    EXPECT_EQ(source->left_out()[0].count, 2);
    EXPECT_EQ(source->left_out()[0].example, file + "#2");
    const std::uint64_t digest = source->digest();
    EXPECT_EQ(open("data/" + file)->digest(), digest);
  }
}

TEST_F(TableSource, AChangedFileIsIndexedAgain) {
  copy("hub.parquet", "x.parquet");
  EXPECT_EQ(open("x.parquet")->size(), 9);
  copy("plain.parquet", "x.parquet");
  EXPECT_EQ(open("x.parquet")->size(), 40);
  folder_.write(".x.parquet.sgindex", "broken");
  EXPECT_EQ(open("x.parquet")->size(), 40);
}

TEST_F(TableSource, WhatCannotBeReadIsSaid) {
  for (const auto& [file, said] : std::vector<std::pair<std::string, std::string>>{
           {"lists.parquet", "no column of images"},
           {"no_images.parquet", "text: "},
           {"compressed.arrow", "without compression"},
           {"delta.parquet", "plain values"},
           {"encrypted.parquet", "encrypted"},
           {"encrypted_column.parquet", "encrypted"}}) {
    copy(file);
    const std::string error = data_error(file);
    EXPECT_NE(error.find(said), std::string::npos) << error;
    EXPECT_EQ(error.find('\n'), std::string::npos) << error;
  }
}

// Wherever a file is cut, and whatever a byte of its end is changed to: an Error(data), or rows.
TEST_F(TableSource, DamagedFiles) {
  for (const std::string file : {"hub.parquet", "snappy_dictionary.parquet", "version2.parquet",
                                 "saved.arrow", "file.arrow"}) {
    const auto bytes = read_file(std::string(SGMAE_TEST_DATA) + "/tables/" + file);
    const std::string whole(bytes.begin(), bytes.end());
    for (std::size_t size = 0; size < whole.size(); size += 1 + whole.size() / 12) {
      folder_.write(file, whole.substr(0, size));
      try {
        open(file);
        EXPECT_EQ(file, "saved.arrow");  // whole batches of a stream
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ExitCode::data) << error.what();
        EXPECT_NE(std::string(error.what()).find(file), std::string::npos) << error.what();
      }
    }
    for (std::size_t i = 0; i < whole.size(); i += 1 + whole.size() / 60) {
      std::string damaged = whole;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << i % 8));
      folder_.write(file, damaged);
      OpenedImage opened;
      try {
        const auto source = open(file);
        for (std::int64_t k = 0; k < source->size(); ++k) source->open(k, opened);
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ExitCode::data) << error.what();
      }
    }
  }
}

}  // namespace
}  // namespace sgmae
