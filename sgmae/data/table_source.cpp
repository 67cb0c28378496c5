// Images in Parquet and Arrow files, read in place: data sets of the Hugging Face hub, and what
// `datasets` saves to disk.
//
// Each file is walked once, through Apache Arrow (table_file.h), and where the bytes of each image
// lie is kept in an index, so that any image can be read at once and shuffling is exact. Compressed
// pages are not unpacked for one image where that can be helped (snappy.h).
#include <algorithm>
#include <deque>
#include <filesystem>
#include <limits>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/base/log.h"
#include "sgmae/base/plugin.h"
#include "sgmae/data/bytes.h"
#include "sgmae/data/file_type.h"
#include "sgmae/data/files.h"
#include "sgmae/data/formats.h"
#include "sgmae/data/hub_card.h"
#include "sgmae/data/left_out.h"
#include "sgmae/data/samples.h"
#include "sgmae/data/shard_walk.h"
#include "sgmae/data/shards.h"
#include "sgmae/data/snappy.h"
#include "sgmae/data/split.h"
#include "sgmae/data/table_file.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;
using Kind = TableColumn::Kind;

const std::vector<std::string> types{"parquet", "arrow"};

// The image of one row.
struct Row {
  enum class Kind : std::uint8_t {
    plain,   // `size` bytes of the file from `offset` on
    snappy,  // of what `stored` bytes there are unpacked, `size` after the first `skip`
    page,    // `size` bytes of the unpacked page `number`, from `offset` on
    file,    // a file of its own, path `number`
    none
  };
  Kind kind = Kind::none;
  std::uint64_t offset = 0, stored = 0, skip = 0, size = 0;
  std::uint64_t number = 0;
};

struct Shard {
  FileStamp stamp;
  std::vector<Row> rows;
  std::vector<TablePage> pages;
  std::vector<std::string> paths, labels;  // labels: of each row, or empty
  std::vector<std::string> class_names;    // which the labels count; empty where they are words
  std::string columns;                     // that were chosen without being asked for
};

// ---- Which columns

// What `datasets` says of a column: {"_type": "Image"}, {"_type": "ClassLabel", "names": […]} …
class Features {
 public:
  explicit Features(const std::string& text) {
    const auto all = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!all.is_object() || !all.contains("info")) return;
    const auto& info = all["info"];
    if (info.is_object() && info.contains("features") && info["features"].is_object())
      features_ = info["features"];
  }

  bool is(const std::string& column, const char* type) const {
    if (!features_.contains(column)) return false;
    const auto& feature = features_[column];
    return feature.is_object() && feature.contains("_type") && feature["_type"] == type;
  }
  std::vector<std::string> class_names(const std::string& column) const {
    std::vector<std::string> names;
    if (!is(column, "ClassLabel") || !features_[column].contains("names")) return names;
    for (const auto& name : features_[column]["names"])
      if (name.is_string()) names.push_back(name);
    return names;
  }

 private:
  nlohmann::json features_ = nlohmann::json::object();
};

std::string all_columns(const TableSchema& schema) {
  std::string text;
  for (const TableColumn& column : schema.columns)
    text += str(text.empty() ? "" : ", ", column.name, ": ", column.type);
  return text.empty() ? "it has none" : text;
}

const TableColumn* column_named(const TableSchema& schema, const std::vector<std::string>& names) {
  for (const std::string& name : names)
    for (const TableColumn& column : schema.columns)
      if (column.name == name) return &column;
  return nullptr;
}

// The image column that docs/data.md promises; `others` are those that it was preferred to.
const TableColumn& choose_image(const TableSchema& schema, const Features& features,
                                const std::string& key, std::string& others) {
  const auto is_image = [](const TableColumn& column) {
    return column.kind == Kind::image || column.kind == Kind::binary;
  };
  if (!key.empty()) {
    const TableColumn* const named = column_named(schema, alternatives(key));
    check(named, ExitCode::data, "it has no column ", key, "; its columns are ",
          all_columns(schema));
    check(is_image(*named), ExitCode::data, "its column ", named->name, " (", named->type,
          ") does not hold one image a row");
    return *named;
  }
  std::vector<const TableColumn*> found;
  const auto look = [&](const auto& fits) {
    if (!found.empty()) return;
    for (const TableColumn& column : schema.columns)
      if (is_image(column) && fits(column)) found.push_back(&column);
  };
  look([&](const TableColumn& column) { return features.is(column.name, "Image"); });
  look([&](const TableColumn& column) { return column.kind == Kind::image; });
  look([&](const TableColumn&) { return true; });
  check(!found.empty(), ExitCode::data,
        "it has no column of images (bytes, or bytes with a path; one a row); its columns are ",
        all_columns(schema));
  const auto usual = std::find_if(found.begin(), found.end(), [](const TableColumn* column) {
    return column->name == "image" || column->name == "img";
  });
  const TableColumn& chosen = usual == found.end() ? *found.front() : **usual;
  for (const TableColumn* column : found)
    if (column != &chosen) others += (others.empty() ? "" : ", ") + column->name;
  return chosen;
}

// The column of labels; null where there is none.
const TableColumn* choose_label(const TableSchema& schema, const Features& features,
                                const std::string& key) {
  if (!key.empty()) {
    const TableColumn* const named = column_named(schema, alternatives(key));
    check(named, ExitCode::data, "it has no column ", key, "; its columns are ",
          all_columns(schema));
    check(named->kind == Kind::word, ExitCode::data, "its column ", named->name, " (", named->type,
          ") does not hold one label a row");
    return named;
  }
  const TableColumn* const usual =
      column_named(schema, {"label", "labels", "class", "target", "category", "fine_label"});
  if (usual && usual->kind == Kind::word) return usual;
  for (const TableColumn& column : schema.columns)
    if (column.kind == Kind::word && features.is(column.name, "ClassLabel")) return &column;
  return nullptr;
}

// ---- The index

Row row_of(const TableValue& value, const std::vector<TablePage>& pages,
           const std::vector<std::vector<SnappyPiece>>& pieces) {
  Row row;
  row.size = value.size;
  row.offset = value.offset;
  row.kind = Row::Kind::plain;
  if (value.page < 0) return row;
  row.number = static_cast<std::uint64_t>(value.page);
  const TablePage& page = pages.at(row.number);
  const std::vector<SnappyPiece>& all = pieces.at(row.number);
  if (all.empty()) {
    row.kind = Row::Kind::page;
    return row;
  }
  const auto begins_after = [](std::uint64_t at, const SnappyPiece& piece) {
    return at < piece.unpacked;
  };
  const auto first = std::upper_bound(all.begin(), all.end(), value.offset, begins_after) - 1;
  const auto end = std::upper_bound(first, all.end(), value.offset + value.size - 1, begins_after);
  row.kind = Row::Kind::snappy;
  row.offset = page.offset + first->stored;
  row.stored = end->stored - first->stored;
  row.skip = value.offset - first->unpacked;
  return row;
}

void scan_table(const TablePlugin& plugin, const fs::path& path, const DataFormat& format,
                Shard& shard) {
  const auto need = [&](const std::string& wrong) { check(wrong.empty(), ExitCode::data, wrong); };
  TableSchema schema;
  need(plugin.read_schema(path, schema));
  const Features features(schema.huggingface);
  std::string others;
  const TableColumn& image = choose_image(schema, features, format.image_key, others);
  const TableColumn* const label = choose_label(schema, features, format.label_key);
  if (!others.empty()) shard.columns = image.name + ", not " + others;
  if (label) shard.class_names = features.class_names(label->name);

  TableRows rows;
  need(plugin.read_rows(path, image.name, label ? label->name : "", rows));
  const MappedFile file(path);
  std::vector<std::vector<SnappyPiece>> pieces(rows.pages.size());
  for (std::size_t i = 0; i < rows.pages.size(); ++i)
    if (const TablePage& page = rows.pages[i]; page.snappy)
      pieces[i] = snappy_pieces(file.bytes().subspan(static_cast<std::size_t>(page.offset),
                                                     static_cast<std::size_t>(page.stored)),
                                page.size);
  for (std::size_t i = 0; i < rows.images.size(); ++i) {
    if (rows.images[i].size > 0) {
      shard.rows.push_back(row_of(rows.images[i], rows.pages, pieces));
      continue;
    }
    Row row;
    if (!rows.paths.empty() && !rows.paths[i].empty()) {
      row.kind = Row::Kind::file;
      row.number = shard.paths.size();
      shard.paths.push_back(std::move(rows.paths[i]));
    }
    shard.rows.push_back(row);
  }
  shard.labels = std::move(rows.labels);
  const bool whole_pages = std::any_of(shard.rows.begin(), shard.rows.end(),
                                       [](const Row& row) { return row.kind == Row::Kind::page; });
  if (whole_pages) shard.pages = std::move(rows.pages);
}

// What went wrong with a file, and the likely cause; Arrow's own words say little of it.
[[noreturn]] void fail_with(const fs::path& path, const Error& error) {
  const std::string text = error.what();
  if (text.find(path.string()) != std::string::npos) fail(error.code(), text);
  const bool arrows = text.find("nvalid") != std::string::npos ||
                      text.find("xpected") != std::string::npos ||
                      text.find("thrift") != std::string::npos;
  if (arrows && text.find("incomplete") == std::string::npos)
    fail(error.code(), path.string(), ": a damaged Parquet or Arrow file (", text,
         "); an incomplete download?");
  fail(error.code(), path.string(), ": ", text);
}

void write_texts(ByteWriter& writer, const std::vector<std::string>& texts) {
  writer.count(texts.size());
  for (const std::string& text : texts) writer.text(text);
}

std::vector<std::string> read_texts(ByteReader& reader) {
  std::vector<std::string> texts(reader.count(4));
  for (std::string& text : texts) text = reader.text();
  return texts;
}

void read_found(ByteReader& reader, Shard& shard) {
  shard.rows.resize(reader.count(41));
  for (Row& row : shard.rows) {
    const auto kind = reader.number<std::uint8_t>();
    check(kind <= static_cast<std::uint8_t>(Row::Kind::none), ExitCode::data, "damaged");
    row.kind = static_cast<Row::Kind>(kind);
    for (std::uint64_t* value : {&row.offset, &row.stored, &row.skip, &row.size, &row.number})
      *value = reader.number<std::uint64_t>();
  }
  shard.pages.resize(reader.count(29));
  for (TablePage& page : shard.pages) {
    for (std::uint64_t* value : {&page.offset, &page.stored, &page.size})
      *value = reader.number<std::uint64_t>();
    page.codec = reader.number<std::int32_t>();
    page.snappy = reader.number<std::uint8_t>() != 0;
  }
  shard.paths = read_texts(reader);
  shard.labels = read_texts(reader);
  shard.class_names = read_texts(reader);
  shard.columns = reader.text();
}

void write_found(ByteWriter& writer, const Shard& shard) {
  writer.count(shard.rows.size());
  for (const Row& row : shard.rows) {
    writer.number(static_cast<std::uint8_t>(row.kind));
    for (const std::uint64_t value : {row.offset, row.stored, row.skip, row.size, row.number})
      writer.number(value);
  }
  writer.count(shard.pages.size());
  for (const TablePage& page : shard.pages) {
    for (const std::uint64_t value : {page.offset, page.stored, page.size}) writer.number(value);
    writer.number(static_cast<std::int32_t>(page.codec));
    writer.number(static_cast<std::uint8_t>(page.snappy));
  }
  write_texts(writer, shard.paths);
  write_texts(writer, shard.labels);
  write_texts(writer, shard.class_names);
  writer.text(shard.columns);
}

ShardWalk<Shard> table_walk(const DataFormat& format) {
  const auto scan = [format](const fs::path& path, Shard& shard) {
    const TablePlugin& plugin = needed_table_plugin(path);
    try {
      scan_table(plugin, path, format, shard);
    } catch (const Error& error) {
      fail_with(path, error);
    }
  };
  return {"files of tables", 4, scan, 44, write_found, read_found};  // a thread may hold a page
}

// ---- The source

// Pages as they are unpacked, the longest unused dropped first.
class UnpackedPages {
 public:
  using Bytes = std::vector<std::uint8_t>;

  // `unpack` makes the page where it is not there; other threads that want it wait.
  template <class Unpack>
  std::shared_ptr<const Bytes> get(std::size_t shard, std::uint64_t number, std::uint64_t size,
                                   const Unpack& unpack) {
    std::shared_ptr<Page> page;
    {
      const std::lock_guard lock(mutex_);
      const auto found = std::find_if(pages_.begin(), pages_.end(), [&](const auto& one) {
        return one->shard == shard && one->number == number;
      });
      if (found != pages_.end()) {
        page = *found;
        pages_.erase(found);
      } else {
        page = std::make_shared<Page>();
        page->shard = shard;
        page->number = number;
        page->size = size;
        held_ += size;
      }
      pages_.push_back(page);
      constexpr std::uint64_t most = std::uint64_t{256} << 20;
      for (; held_ > most && pages_.size() > 1; pages_.pop_front()) held_ -= pages_.front()->size;
    }
    const std::lock_guard lock(page->mutex);
    if (page->bytes.empty()) page->bytes = unpack();
    return {page, &page->bytes};
  }

 private:
  struct Page {
    std::size_t shard = 0;
    std::uint64_t number = 0, size = 0;
    std::mutex mutex;
    Bytes bytes;
  };
  std::mutex mutex_;
  std::deque<std::shared_ptr<Page>> pages_;  // by when they were last asked for
  std::uint64_t held_ = 0;                   // bytes
};

class TableSource : public Source {
 public:
  TableSource(std::vector<fs::path> paths, fs::path root, std::vector<Shard> shards, Labels labels,
              std::vector<LeftOut> left_out)
      : paths_(std::move(paths)),
        root_(std::move(root)),
        shards_(std::move(shards)),
        files_(paths_.size()) {
    for (std::size_t s = 0; s < shards_.size(); ++s) {
      shards_[s].labels = {};  // which `labels` holds
      for (std::size_t r = 0; r < shards_[s].rows.size(); ++r)
        if (shards_[s].rows[r].kind != Row::Kind::none)
          entries_.push_back({static_cast<std::uint32_t>(s), static_cast<std::uint32_t>(r)});
    }
    labels_ = std::move(labels.labels);
    class_names_ = std::move(labels.class_names);
    left_out_ = std::move(left_out);
    SGMAE_ASSERT(labels_.size() == entries_.size());
  }

  std::int64_t size() const override { return static_cast<std::int64_t>(entries_.size()); }
  std::string name(std::int64_t index) const override {
    const auto [shard, row] = entries_[static_cast<std::size_t>(index)];
    return str(paths_[shard].string(), "#", row);
  }

  void open(std::int64_t index, OpenedImage& opened) const override {
    const std::size_t shard = entries_[static_cast<std::size_t>(index)].shard;
    const Row& row = row_at(index);
    check(row.size <= max_image_bytes && row.stored <= 2 * max_image_bytes, ExitCode::data,
          "an image file of ", row.size, " bytes");
    const auto file = [&] { return files_.get(shard, paths_[shard]); };
    opened.raw = {};
    std::vector<std::uint8_t>& bytes = opened.bytes;
    bytes.resize(static_cast<std::size_t>(row.size));
    switch (row.kind) {
      case Row::Kind::plain:
        file()->read(row.offset, bytes);
        break;
      case Row::Kind::snappy: {
        static thread_local std::vector<std::uint8_t> stored;
        stored.resize(static_cast<std::size_t>(row.stored));
        file()->read(row.offset, stored);
        bytes.resize(static_cast<std::size_t>(row.skip + row.size));
        unpack_snappy(stored, bytes);
        bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(row.skip));
        break;
      }
      case Row::Kind::page: {
        const TablePage& page = shards_[shard].pages.at(row.number);
        const auto unpacked = pages_.get(shard, row.number, page.size, [&] {
          std::vector<std::uint8_t> stored(static_cast<std::size_t>(page.stored));
          std::vector<std::uint8_t> out(static_cast<std::size_t>(page.size));
          file()->read(page.offset, stored);
          const std::string wrong =
              needed_table_plugin(paths_[shard]).unpack(page.codec, stored, out);
          check(wrong.empty(), ExitCode::data, wrong);
          return out;
        });
        check(row.offset + row.size <= unpacked->size(), ExitCode::data, "damaged");
        std::copy_n(unpacked->begin() + static_cast<std::ptrdiff_t>(row.offset), row.size,
                    bytes.begin());
        break;
      }
      default:
        bytes = read_file(path_of(index), ExitCode::data, max_image_bytes);
    }
    read_info(opened);
  }

 protected:
  int colour_channels() const override { return 3; }
  std::int64_t content_mark(std::int64_t index) const override {
    const Row& row = row_at(index);
    if (row.kind != Row::Kind::file) return static_cast<std::int64_t>(row.size);
    std::error_code missing;
    const auto size = fs::file_size(path_of(index), missing);
    return missing ? -1 : static_cast<std::int64_t>(size);
  }

 private:
  struct Entry {
    std::uint32_t shard, row;
  };
  const Row& row_at(std::int64_t index) const {
    const auto [shard, row] = entries_[static_cast<std::size_t>(index)];
    return shards_[shard].rows[row];
  }
  fs::path path_of(std::int64_t index) const {
    const std::size_t shard = entries_[static_cast<std::size_t>(index)].shard;
    return root_ / shards_[shard].paths.at(row_at(index).number);
  }

  std::vector<fs::path> paths_;
  fs::path root_;
  std::vector<Shard> shards_;
  std::vector<Entry> entries_;
  mutable OpenFiles files_;
  mutable UnpackedPages pages_;
};

// What the paths of rows without bytes are relative to.
fs::path root_of(const fs::path& shard, const std::string& data_root, const std::string& path) {
  if (!data_root.empty()) return data_root;
  std::error_code ignored;
  const fs::path folder = shard.parent_path();
  for (const fs::path& root : {folder, folder.parent_path()})
    if (fs::exists(root / path, ignored)) return root;
  return folder;
}

// The labels of the rows that have images. Numbers of a ClassLabel stand for its names.
Labels labels_of(const std::vector<fs::path>& paths, const std::vector<Shard>& shards,
                 std::vector<LeftOut>& left_out) {
  std::vector<std::string> words, places;
  for (std::size_t s = 0; s < shards.size(); ++s)
    for (std::size_t r = 0; r < shards[s].rows.size(); ++r) {
      if (shards[s].rows[r].kind == Row::Kind::none) continue;
      words.push_back(shards[s].labels.empty() ? "" : shards[s].labels[r]);
      places.push_back(str(paths[s].string(), "#", r));
    }
  const std::vector<std::string>& names = shards.front().class_names;
  for (std::size_t s = 1; s < shards.size(); ++s)
    check(shards[s].class_names == names, ExitCode::data, paths[s].string(), " and ",
          paths.front().string(),
          " name their classes differently; give files of one data set only");
  if (names.empty())
    return number_by_word(
        words, paths.front().string(), [&](std::size_t i) { return places[i]; }, left_out);
  Labels labels{{}, names};
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto number = words[i].empty() ? -1 : label_number(words[i]);
    const bool fits = number && *number < static_cast<std::int64_t>(names.size());
    if (!fits)
      add_left_out(left_out, "labels that are no class", LeftOut::Weight::lost,
                   places[i] + ": " + words[i]);
    labels.labels.push_back(fits ? *number : -1);
  }
  return labels;
}

}  // namespace

const TablePlugin* table_plugin(std::string& why) {
  static std::string reason;
  static const TablePlugin* const plugin = [] {
    void* const get = open_plugin("arrow", table_plugin_symbol, reason);
    return get ? reinterpret_cast<GetTablePlugin>(get)() : nullptr;
  }();
  why = reason;
  return plugin;
}

const TablePlugin& needed_table_plugin(const fs::path& file, ExitCode code) {
  std::string why;
  if (const TablePlugin* const plugin = table_plugin(why)) return *plugin;
  fail(code, file.string(),
       ": Parquet and Arrow files go through Apache Arrow, and that is not here (", why,
       "); './dev build --arrow' installs and builds that");
}

bool is_table(const std::string& path_or_pattern) {
  return std::find(types.begin(), types.end(), extension_of(path_or_pattern)) != types.end();
}

Shards find_tables(const std::string& path, const std::string& split) {
  if (auto of_card = shards_of_card(path, split, types)) return *std::move(of_card);
  Shards shards = shards_of_split(path, split, types);
  if (!shards.paths.empty() || !shards.beside.empty() || !is_folder(path)) return shards;
  // In data/, or in a folder called as the configuration of the data set.
  std::vector<std::string> holding;
  for (const auto& [name, is_a_folder] : list_folder(path)) {
    if (!is_a_folder) continue;
    Shards inside = shards_of_split(fs::path(path) / name, split, types);
    if (inside.paths.empty()) continue;
    holding.push_back(name);
    shards = std::move(inside);
  }
  check(holding.size() < 2, ExitCode::data, path,
        " holds several data sets of Parquet or Arrow files: ", holding.front(), "/, ",
        holding.back(), "/; give the path of one of them");
  return shards;
}

std::unique_ptr<Source> open_tables(const Shards& found, const std::string& data_root,
                                    const DataFormat& format) {
  const std::vector<fs::path>& paths = found.paths;
  SGMAE_ASSERT(!paths.empty());
  std::vector<Shard> shards = walk_shards(paths, format, table_walk(format));

  std::vector<LeftOut> left_out = missing_shards(found);
  std::int64_t images = 0;
  fs::path root = data_root;
  bool whole_pages = false;
  for (std::size_t s = 0; s < shards.size(); ++s) {
    for (std::size_t r = 0; r < shards[s].rows.size(); ++r)
      if (shards[s].rows[r].kind != Row::Kind::none)
        ++images;
      else
        add_left_out(left_out, "rows without an image", LeftOut::Weight::lost,
                     str(paths[s].filename().string(), "#", r));
    if (root.empty() && !shards[s].paths.empty())
      root = root_of(paths[s], data_root, shards[s].paths.front());
    whole_pages |= !shards[s].pages.empty();
  }
  check(images > 0, ExitCode::data, paths.front().string(),
        paths.size() > 1 ? " and the other files have" : " has", " no row with an image");
  if (!shards.front().columns.empty())
    info("data: images are those of the column ", shards.front().columns, " (--image_key)");
  if (whole_pages)
    info(
        "data: images in ", paths.front().parent_path().string(),
        " lie in compressed pages, which are unpacked as a whole: reading in random order is slow; "
        "'sgmae data pack' makes it fast, once");
  Labels labels = labels_of(paths, shards, left_out);
  return std::make_unique<TableSource>(paths, std::move(root), std::move(shards), std::move(labels),
                                       std::move(left_out));
}

}  // namespace sgmae
