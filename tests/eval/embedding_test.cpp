// Features in files. Oracle: what was written; tests/golden/read_features.py holds Parquet files
// against five other programs. Tests of Parquet need the plug-in that knows it.
#include "sgmae/eval/embedding.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

#include "sgmae/base/file.h"
#include "sgmae/data/table_file.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"

namespace sgmae {
namespace {

Embedding numbers(std::int64_t rows, std::int64_t dim) {
  Embedding embedding;
  embedding.features = at::arange(rows * dim, at::kFloat).view({rows, dim}).div_(7);
  for (std::int64_t row = 0; row < rows; ++row) {
    embedding.names.push_back(str("photos/", row, ".png"));
    embedding.label.push_back(row % 3 - 1);
  }
  embedding.class_names = {"cat", "dög"};
  embedding.info.checkpoint = "/runs/first";
  embedding.info.model = "a hash";
  embedding.info.mean = {0.1f, 0.2f, 0.3f};
  return embedding;
}

bool same_bits(const at::Tensor& a, const at::Tensor& b) {
  return at::equal(a.view(at::kInt), b.view(at::kInt));
}

class Embeddings : public testing::Test {
 protected:
  bool needs_arrow() const {
    std::string why;
    return !table_plugin(why);
  }
  TemporaryFolder folder_;
};

TEST_F(Embeddings, FilesGiveBackWhatWasWritten) {
  Embedding written = numbers(40, 3);
  written.features[5].fill_(std::numeric_limits<float>::quiet_NaN());  // unreadable
  written.features[6][1] = -0.0f;
  written.features[6][2] = std::numeric_limits<float>::denorm_min();
  for (const std::string name : {"f.safetensors", "f.npy", "f.parquet"}) {
    if (name == "f.parquet" && needs_arrow()) continue;
    write_embedding(folder_.path(name), written);
    EXPECT_TRUE(is_embedding(folder_.path(name))) << name;
    const Embedding read = read_embedding(folder_.path(name));
    EXPECT_TRUE(same_bits(read.features, written.features)) << name;
    EXPECT_EQ(read.names, written.names) << name;
    EXPECT_EQ(read.label, written.label) << name;
    EXPECT_EQ(read.class_names, written.class_names) << name;
    EXPECT_EQ(read.info, written.info) << name;
  }
  EXPECT_FALSE(is_embedding(folder_.path()));
  EXPECT_FALSE(is_embedding(folder_.path("gone.npy")));
}

TEST_F(Embeddings, TablesHaveARowAnImage) {
  if (needs_arrow()) GTEST_SKIP();
  Embedding written = numbers(4, 6);
  written.features = written.features.view({4, 2, 3});
  written.features[3].fill_(std::numeric_limits<float>::infinity());
  written.names[1] = "a\xe9.png";  // Latin-1
  written.label[2] = 7;
  write_embedding(folder_.path("p.parquet"), written);
  const TablePlugin& plugin = needed_table_plugin("p.parquet");
  TableSchema schema;
  ASSERT_EQ(plugin.read_schema(folder_.path("p.parquet"), schema), "");
  std::vector<std::string> columns;
  for (const TableColumn& column : schema.columns) columns.push_back(column.name);
  EXPECT_EQ(columns,
            (std::vector<std::string>{"path", "label", "class_name", "readable", "feature"}));
  FeatureTable table;
  std::vector<float> features;
  ASSERT_EQ(plugin.read_features(folder_.path("p.parquet"), table, features), "");
  EXPECT_EQ(table.shape, (std::vector<std::int64_t>{4, 2, 3}));
  EXPECT_EQ(features[7], 1.0f);
  EXPECT_EQ(table.paths[1], "a\xef\xbf\xbd.png") << "the replacement character";
  EXPECT_EQ(table.class_names, (std::vector<std::string>{"", "cat", "7", ""}));
  EXPECT_EQ(table.readable, (std::vector<bool>{true, true, true, false}));
  const std::string error =
      error_of(ExitCode::data, [&] { read_embedding(folder_.path("p.parquet")); });
  EXPECT_NE(error.find("a vector for every patch"), std::string::npos) << error;
}

// More rows than one group of them has.
TEST_F(Embeddings, LargeTablesAreWrittenGroupByGroup) {
  if (needs_arrow()) GTEST_SKIP();
  const Embedding written = numbers(140'000, 2);
  write_embedding(folder_.path("f.parquet"), written);
  const Embedding read = read_embedding(folder_.path("f.parquet"));
  EXPECT_TRUE(same_bits(read.features, written.features));
  EXPECT_EQ(read.names, written.names);
  EXPECT_EQ(read.label, written.label);
}

// What a full disk says comes through Arrow.
TEST_F(Embeddings, WhatTheSinkThrowsComesOutAgain) {
  if (needs_arrow()) GTEST_SKIP();
  FeatureTable table{{"a"}, {0}, {""}, {true}, {1, 2}, {}};
  std::size_t room = 100;
  const std::vector<float> features{1, 2};
  const std::string error = error_of(ExitCode::disk_full, [&] {
    needed_table_plugin("f.parquet")
        .write_features(table, features, [&](const void*, std::size_t bytes) {
          check(bytes <= room, ExitCode::disk_full, "the disk is full");
          room -= bytes;
        });
  });
  EXPECT_EQ(error, "the disk is full");
}

TEST_F(Embeddings, DamagedTablesAreRefused) {
  if (needs_arrow()) GTEST_SKIP();
  const auto refused = [&](const std::string& file) {
    const std::string error = error_of(ExitCode::data, [&] { read_embedding(file); });
    EXPECT_NE(error.find(file), std::string::npos) << error;
    EXPECT_NE(error.find("sgmae embed"), std::string::npos) << error;
  };
  const std::string images = std::string(SGMAE_TEST_DATA) + "/tables/hub.parquet";
  EXPECT_FALSE(is_embedding(images));
  refused(images);
  const std::string file = folder_.path("f.parquet");
  write_embedding(file, numbers(40, 3));
  const std::string whole = read_text(file);
  for (std::size_t size = 0; size < whole.size(); size += 1 + whole.size() / 12) {
    folder_.write("f.parquet", whole.substr(0, size));
    EXPECT_FALSE(is_embedding(file));
    refused(file);
  }
  // A byte that differs: a sentence, or other numbers.
  for (std::size_t i = 0; i < whole.size(); i += 1 + whole.size() / 200) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ (1 << i % 8));
    folder_.write("f.parquet", damaged);
    try {
      read_embedding(file);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::data) << error.what();
      EXPECT_NE(std::string(error.what()).find(file), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace sgmae
