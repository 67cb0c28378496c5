// Internal to data/: where the images of a Parquet or Arrow file lie, as the plug-in
// sgmae/arrow/tables.cpp finds them through Apache Arrow. Nothing of Arrow's is named here.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

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
};

// The one function that the plug-in exports, by this name.
inline constexpr const char* table_plugin_symbol = "sgmae_table_plugin";
using GetTablePlugin = const TablePlugin* (*)();

// Null where the plug-in is missing, and then `why` says so. Safe to call from several threads.
const TablePlugin* table_plugin(std::string& why);

}  // namespace sgmae
