// Parquet and Arrow files through Apache Arrow, which a plug-in (sgmae/arrow/) knows: where images
// lie in them, and tables of features. Nothing of Arrow's is named here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "sgmae/base/error.h"

namespace sgmae {

struct TableColumn {
  enum class Kind {
    image,   // struct<bytes, path>: an image file, or the path of one
    binary,  // bytes
    word,    // text or a number in each row
    other    // lists and the like
  };
  std::string name;
  Kind kind = Kind::other;
  std::string type;  // as Arrow or Parquet calls it, for messages
};

struct TableSchema {
  std::vector<TableColumn> columns;
  std::string huggingface;  // JSON that the `datasets` library leaves in the file; "" without
};

// Bytes that are compressed as a whole.
struct TablePage {
  std::uint64_t offset = 0, stored = 0;  // in the file
  std::uint64_t size = 0;                // unpacked
  int codec = 0;                         // Arrow's number of the compression
  bool snappy = false;
};

// The bytes of one row's image.
struct TableValue {
  std::uint64_t offset = 0, size = 0;  // in the unpacked page, or else in the file
  std::int64_t page = -1;              // which of TableRows::pages; -1: they lie there as they are
};

struct TableRows {
  std::vector<TablePage> pages;
  std::vector<TableValue> images;   // of size 0 where the row has no bytes
  std::vector<std::string> paths;   // of the images without bytes; empty where all have some
  std::vector<std::string> labels;  // as text, "" for none; empty where no column was named
};

// A Parquet file with the features of an image in each row, but for their numbers. Its columns are
// `path`, `label`, `class_name`, `readable` and `feature`: a list of D floats, or of N lists of D.
struct FeatureTable {
  std::vector<std::string> paths;        // [M] UTF-8
  std::vector<std::int64_t> labels;      // [M]
  std::vector<std::string> class_names;  // [M] "" for none, which is null in the file
  std::vector<bool> readable;            // [M]
  std::vector<std::int64_t> shape;       // of all features: [M, D] or [M, N, D]
  std::map<std::string, std::string> metadata;
};
using ByteSink = std::function<void(const void* data, std::size_t bytes)>;

// Each function returns what is wrong, or "" where all is well; none names the file. Safe to call
// from several threads.
struct TablePlugin {
  std::string library;  // its name and version
  std::string (*read_schema)(const std::string& path, TableSchema& schema);
  std::string (*read_rows)(const std::string& path, const std::string& image,
                           const std::string& label, TableRows& rows);
  // Fills all of `out`.
  std::string (*unpack)(int codec, std::span<const std::uint8_t> stored,
                        std::span<std::uint8_t> out);
  // The file goes to `sink` piece by piece; what that throws comes out again.
  std::string (*write_features)(const FeatureTable& table, std::span<const float> features,
                                const ByteSink& sink);
  std::string (*read_features)(const std::string& path, FeatureTable& table,
                               std::vector<float>& features);
};

// The one function that the plug-in exports, by this name.
inline constexpr const char* table_plugin_symbol = "sgmae_table_plugin";
using GetTablePlugin = const TablePlugin* (*)();

// Null where the plug-in is missing, and then `why` says so. Safe to call from several threads.
const TablePlugin* table_plugin(std::string& why);
// Throws Error(code) that says how to get it, where the plug-in is missing.
const TablePlugin& needed_table_plugin(const std::filesystem::path& file,
                                       ExitCode code = ExitCode::data);

}  // namespace sgmae
