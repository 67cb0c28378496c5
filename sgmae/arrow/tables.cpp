// Parquet and Arrow files through Apache Arrow (data/table_file.h), as a library of its own, so
// that the program itself needs nothing of Arrow.
//
// Arrow reads the column of images once, page by page, out of the mapped file. Where the values
// that it hands out lie says where they are in the file, or in the unpacked page.
#include <arrow/array.h>
#include <arrow/config.h>
#include <arrow/ipc/reader.h>
#include <arrow/record_batch.h>
#include <arrow/scalar.h>
#include <arrow/table.h>
#include <arrow/util/compression.h>
#include <arrow/util/key_value_metadata.h>
#include <parquet/arrow/reader.h>
#include <parquet/column_page.h>
#include <parquet/column_reader.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "sgmae/arrow/calls.h"
#include "sgmae/arrow/features.h"
#include "sgmae/base/file.h"
#include "sgmae/data/table_file.h"

namespace sgmae {
namespace {

using Kind = TableColumn::Kind;

// A page is unpacked as a whole: one that claims more is damaged, or of no use here.
constexpr std::int64_t largest_page = std::int64_t{1} << 30;

bool lies_in(Bytes whole, const std::uint8_t* at) {
  return !std::less<>()(at, whole.data()) && std::less<>()(at, whole.data() + whole.size());
}

// What people read as the label of row `row`; "" for null.
std::string word_at(const arrow::Array& array, std::int64_t row) {
  const auto scalar = value_of(array.GetScalar(row));
  if (!scalar->is_valid) return "";
  if (scalar->type->id() != arrow::Type::DICTIONARY) return scalar->ToString();
  const auto& dictionary = static_cast<const arrow::DictionaryScalar&>(*scalar);
  const auto inner = value_of(dictionary.GetEncodedValue());
  return inner->is_valid ? inner->ToString() : "";
}

void add_words(const arrow::Array& array, std::vector<std::string>& words) {
  need(array.ValidateFull());
  for (std::int64_t row = 0; row < array.length(); ++row) words.push_back(word_at(array, row));
}

// ---- Parquet

Kind kind_of(const parquet::schema::Node& node) {
  if (node.is_repeated()) return Kind::other;
  if (node.is_primitive()) {
    const auto physical = static_cast<const parquet::schema::PrimitiveNode&>(node).physical_type();
    if (physical == parquet::Type::FIXED_LEN_BYTE_ARRAY || physical == parquet::Type::INT96)
      return Kind::other;
    const bool bytes = physical == parquet::Type::BYTE_ARRAY;
    return bytes && node.logical_type()->is_none() ? Kind::binary : Kind::word;
  }
  const auto& group = static_cast<const parquet::schema::GroupNode&>(node);
  for (int i = 0; i < group.field_count(); ++i) {
    const parquet::schema::Node& field = *group.field(i);
    if (field.name() == "bytes" && kind_of(field) == Kind::binary) return Kind::image;
  }
  return Kind::other;
}

std::string type_of(const parquet::schema::Node& node) {
  if (node.is_group()) return node.logical_type()->is_list() ? "list" : "group";
  if (!node.logical_type()->is_none()) return node.logical_type()->ToString();
  return parquet::TypeToString(
      static_cast<const parquet::schema::PrimitiveNode&>(node).physical_type());
}

// Hands on the pages of a column and remembers where the values of the latest ones lie.
class WatchedPages : public parquet::PageReader {
 public:
  // `chunk` is the column's part of the file.
  WatchedPages(std::unique_ptr<parquet::PageReader> pages, Bytes file, Bytes chunk,
               const parquet::ColumnChunkMetaData& about, const parquet::ColumnDescriptor& column,
               TableRows& rows)
      : pages_(std::move(pages)), file_(file), codec_(about.compression()), rows_(rows) {
    constexpr auto as_it_is = parquet::Compression::UNCOMPRESSED;
    if (codec_ != as_it_is)
      stored_ = PageReader::Open(reader_of(chunk), about.num_values(), as_it_is,
                                 parquet::default_reader_properties(), column);
  }

  std::shared_ptr<parquet::Page> NextPage() override {
    const std::shared_ptr<parquet::Page> stored = stored_ ? stored_->NextPage() : nullptr;
    need(!stored || size_of(*stored) <= largest_page,
         "a page of it claims more than 1 GB; write it again with smaller pages");
    std::shared_ptr<parquet::Page> page = pages_->NextPage();
    if (!page) return page;
    Place place{{page->data(), static_cast<std::size_t>(page->size())}, -1, 0};
    if (!lies_in(file_, page->data())) {
      need(stored && stored->type() == page->type(), "damaged");
      if (page->type() == parquet::PageType::DATA_PAGE_V2) {
        const auto& levels = static_cast<const parquet::DataPageV2&>(*page);
        place.levels = static_cast<std::size_t>(levels.definition_levels_byte_length()) +
                       static_cast<std::size_t>(levels.repetition_levels_byte_length());
      }
      need(place.levels <= place.bytes.size() &&
               place.levels <= static_cast<std::size_t>(stored->size()),
           "damaged");
      place.page = static_cast<std::int64_t>(rows_.pages.size());
      rows_.pages.push_back(
          {static_cast<std::uint64_t>(stored->data() - file_.data()) + place.levels,
           static_cast<std::uint64_t>(stored->size()) - place.levels,
           place.bytes.size() - place.levels, static_cast<int>(codec_),
           codec_ == parquet::Compression::SNAPPY});
    }
    if (page->type() == parquet::PageType::DICTIONARY_PAGE)
      read_dictionary(place);
    else
      latest_ = place;
    return page;
  }
  void set_max_page_header_size(std::uint32_t size) override {
    pages_->set_max_page_header_size(size);
  }

  // Of a value of the latest page.
  TableValue find(const parquet::ByteArray& value) {
    if (value.len == 0) return {};
    if (lies_in(latest_.bytes, value.ptr))
      return found(latest_, static_cast<std::size_t>(value.ptr - latest_.bytes.data()), value.len);
    // Arrow keeps the values of a dictionary one behind the other. The first one that is met shows
    // where they begin.
    for (std::size_t i = 0; !dictionary_begin_ && i < entries_.size(); ++i)
      if (entries_[i].length == value.len &&
          std::memcmp(dictionary_.data() + entries_[i].offset, value.ptr, value.len) == 0)
        dictionary_begin_ = value.ptr - entries_[i].before;
    const auto at = value.ptr - dictionary_begin_;
    const auto entry =
        std::lower_bound(entries_.begin(), entries_.end(), at,
                         [](const Entry& e, std::ptrdiff_t before) { return e.before < before; });
    need(dictionary_begin_ && entry != entries_.end() && entry->before == at &&
             entry->length == value.len,
         "its images are stored in an encoding of which single ones cannot be read; write it again "
         "as plain values");
    return found(dictionary_place_, entry->offset, value.len);
  }

 private:
  struct Place {
    Bytes bytes;             // unpacked
    std::int64_t page = -1;  // which of the rows' pages; -1: they lie in the file
    std::size_t levels = 0;  // that are not compressed, before the values
  };
  struct Entry {
    std::size_t offset = 0;     // in the page
    std::uint32_t length = 0;   // bytes
    std::ptrdiff_t before = 0;  // bytes of all entries before
  };

  static std::int64_t size_of(const parquet::Page& page) {
    if (page.type() == parquet::PageType::DICTIONARY_PAGE) return page.size();
    return static_cast<const parquet::DataPage&>(page).uncompressed_size();
  }

  TableValue found(const Place& place, std::size_t at, std::uint32_t length) const {
    if (place.page >= 0) return {at - place.levels, length, place.page};
    return {static_cast<std::uint64_t>(place.bytes.data() - file_.data()) + at, length, -1};
  }

  void read_dictionary(const Place& place) {
    dictionary_place_ = place;
    dictionary_begin_ = nullptr;
    entries_.clear();
    Bytes rest = place.bytes;
    std::ptrdiff_t before = 0;
    while (rest.size() >= 4) {
      std::uint32_t length;
      std::memcpy(&length, rest.data(), 4);
      need(length <= rest.size() - 4, "damaged");
      entries_.push_back(
          {static_cast<std::size_t>(rest.data() - place.bytes.data()) + 4, length, before});
      before += length;
      rest = rest.subspan(4 + length);
    }
    // The page may be gone when its values are asked for.
    if (place.page >= 0) copy_.assign(place.bytes.begin(), place.bytes.end());
    dictionary_ = place.page >= 0 ? Bytes(copy_) : place.bytes;
  }

  std::unique_ptr<parquet::PageReader> pages_, stored_;  // unpacked, and as they are in the file
  Bytes file_;
  parquet::Compression::type codec_;
  TableRows& rows_;
  Place latest_, dictionary_place_;
  Bytes dictionary_;
  std::vector<std::uint8_t> copy_;
  std::vector<Entry> entries_;
  const std::uint8_t* dictionary_begin_ = nullptr;
};

void read_images(Bytes file, parquet::ParquetFileReader& reader, int column, TableRows& rows) {
  const auto metadata = reader.metadata();
  const parquet::ColumnDescriptor* const descriptor = metadata->schema()->Column(column);
  constexpr int batch = 1024;
  std::vector<std::int16_t> levels(batch);
  std::vector<parquet::ByteArray> values(batch);
  for (int g = 0; g < metadata->num_row_groups(); ++g) {
    const auto group = reader.RowGroup(g);
    const auto about = group->metadata()->ColumnChunk(column);
    std::int64_t begin = about->data_page_offset();
    if (about->has_dictionary_page() && about->dictionary_page_offset() > 0)
      begin = std::min(begin, about->dictionary_page_offset());
    const std::int64_t size = about->total_compressed_size();
    need(begin >= 0 && size >= 0 && begin <= static_cast<std::int64_t>(file.size()) &&
             size <= static_cast<std::int64_t>(file.size()) - begin,
         "damaged: a column leads beyond its end");
    auto pages = std::make_unique<WatchedPages>(
        group->GetColumnPageReader(column), file,
        file.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(size)), *about,
        *descriptor, rows);
    WatchedPages& watched = *pages;
    const auto values_of = std::static_pointer_cast<parquet::ByteArrayReader>(
        parquet::ColumnReader::Make(descriptor, std::move(pages)));
    const std::size_t before = rows.images.size();
    while (values_of->HasNext()) {
      std::int64_t read = 0;
      const std::int64_t count =
          values_of->ReadBatch(batch, levels.data(), nullptr, values.data(), &read);
      need(count > 0, "damaged");
      std::int64_t next = 0;
      for (std::int64_t i = 0; i < count; ++i) {
        const bool there =
            descriptor->max_definition_level() == 0 ||
            levels[static_cast<std::size_t>(i)] == descriptor->max_definition_level();
        need(!there || next < read, "damaged");
        rows.images.push_back(there ? watched.find(values[static_cast<std::size_t>(next++)])
                                    : TableValue{});
      }
    }
    need(static_cast<std::int64_t>(rows.images.size() - before) == group->metadata()->num_rows(),
         "damaged: a group of rows is not of the length that it says");
  }
}

// A column of words, or a member of a struct.
std::vector<std::string> read_words(std::shared_ptr<arrow::io::BufferReader> file, int leaf) {
  parquet::arrow::FileReaderBuilder builder;
  need(builder.Open(std::move(file)));
  const auto reader = value_of(builder.Build());
  const std::shared_ptr<arrow::Table> table = value_of(reader->ReadTable(std::vector<int>{leaf}));
  need(table->num_columns() == 1, "damaged");
  std::vector<std::string> words;
  for (const auto& chunk : table->column(0)->chunks()) {
    if (chunk->type_id() != arrow::Type::STRUCT)
      add_words(*chunk, words);
    else
      add_words(*value_of(static_cast<const arrow::StructArray&>(*chunk).GetFlattenedField(0)),
                words);
  }
  return words;
}

int leaf_of(const parquet::SchemaDescriptor& schema, const std::string& path) {
  for (int i = 0; i < schema.num_columns(); ++i)
    if (schema.Column(i)->path()->ToDotString() == path) return i;
  return -1;
}

void parquet_schema(Bytes file, TableSchema& schema) {
  const auto reader = parquet::ParquetFileReader::Open(reader_of(file));
  const auto metadata = reader->metadata();
  const parquet::schema::GroupNode& root = *metadata->schema()->group_node();
  for (int i = 0; i < root.field_count(); ++i)
    schema.columns.push_back(
        {root.field(i)->name(), kind_of(*root.field(i)), type_of(*root.field(i))});
  if (const auto entries = metadata->key_value_metadata())
    schema.huggingface = entries->Get("huggingface").ValueOr("");
}

void parquet_rows(Bytes file, const std::string& image, const std::string& label, TableRows& rows) {
  const auto reader = parquet::ParquetFileReader::Open(reader_of(file));
  const parquet::SchemaDescriptor& schema = *reader->metadata()->schema();
  int column = leaf_of(schema, image);
  if (column < 0) column = leaf_of(schema, image + ".bytes");
  need(column >= 0, "it has no column " + image);
  read_images(file, *reader, column, rows);
  const bool all = std::all_of(rows.images.begin(), rows.images.end(),
                               [](const TableValue& value) { return value.size > 0; });
  if (const int path = leaf_of(schema, image + ".path"); !all && path >= 0)
    rows.paths = read_words(reader_of(file), path);
  if (!label.empty()) {
    const int words = leaf_of(schema, label);
    need(words >= 0, "it has no column " + label);
    rows.labels = read_words(reader_of(file), words);
  }
}

// ---- Arrow

Kind kind_of(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::BINARY:
    case arrow::Type::LARGE_BINARY:
      return Kind::binary;
    case arrow::Type::STRUCT:
      for (const auto& field : type.fields())
        if (field->name() == "bytes" && kind_of(*field->type()) == Kind::binary) return Kind::image;
      return Kind::other;
    case arrow::Type::DICTIONARY:
      return kind_of(*static_cast<const arrow::DictionaryType&>(type).value_type()) == Kind::word
                 ? Kind::word
                 : Kind::other;
    case arrow::Type::STRING:
    case arrow::Type::LARGE_STRING:
    case arrow::Type::BOOL:
    case arrow::Type::FLOAT:
    case arrow::Type::DOUBLE:
      return Kind::word;
    default:
      return arrow::is_integer(type.id()) ? Kind::word : Kind::other;
  }
}

// The record batches of a stream, as `datasets` saves it, or of a file (Feather), one after the
// other.
template <class Take>
std::shared_ptr<arrow::Schema> read_batches(Bytes file, const Take& take) {
  constexpr std::string_view magic = "ARROW1";
  if (std::string_view(reinterpret_cast<const char*>(file.data()), file.size())
          .starts_with(magic)) {
    const auto reader = value_of(arrow::ipc::RecordBatchFileReader::Open(reader_of(file)));
    for (int i = 0; i < reader->num_record_batches(); ++i)
      if (!take(*value_of(reader->ReadRecordBatch(i)))) break;
    return reader->schema();
  }
  const auto reader = value_of(arrow::ipc::RecordBatchStreamReader::Open(reader_of(file)));
  while (true) {
    std::shared_ptr<arrow::RecordBatch> batch;
    need(reader->ReadNext(&batch));
    if (!batch || !take(*batch)) return reader->schema();
  }
}

void arrow_schema(Bytes file, TableSchema& schema) {
  const auto found = read_batches(file, [](const arrow::RecordBatch&) { return false; });
  for (const auto& field : found->fields())
    schema.columns.push_back({field->name(), kind_of(*field->type()), field->type()->ToString()});
  if (found->metadata()) schema.huggingface = found->metadata()->Get("huggingface").ValueOr("");
}

template <class BinaryArray>
void add_images(const arrow::Array& array, Bytes file, TableRows& rows) {
  const auto& values = static_cast<const BinaryArray&>(array);
  for (std::int64_t i = 0; i < values.length(); ++i) {
    const std::string_view value = values.IsValid(i) ? values.GetView(i) : std::string_view();
    const auto* const at = reinterpret_cast<const std::uint8_t*>(value.data());
    need(value.empty() || lies_in(file, at),
         "it is compressed, so that single images cannot be read; write it again without "
         "compression");
    rows.images.push_back(
        value.empty() ? TableValue{}
                      : TableValue{static_cast<std::uint64_t>(at - file.data()), value.size(), -1});
  }
}

void arrow_rows(Bytes file, const std::string& image, const std::string& label, TableRows& rows) {
  std::vector<std::string> paths;
  bool all = true;
  read_batches(file, [&](const arrow::RecordBatch& batch) {
    std::shared_ptr<arrow::Array> bytes = batch.GetColumnByName(image);
    need(bytes != nullptr, "it has no column " + image);
    std::shared_ptr<arrow::Array> path;
    if (bytes->type_id() == arrow::Type::STRUCT) {
      const auto& members = static_cast<const arrow::StructArray&>(*bytes);
      const auto& type = static_cast<const arrow::StructType&>(*bytes->type());
      if (const int i = type.GetFieldIndex("path"); i >= 0)
        path = value_of(members.GetFlattenedField(i));
      bytes = value_of(members.GetFlattenedField(type.GetFieldIndex("bytes")));
    }
    need(bytes->ValidateFull());
    const std::size_t before = rows.images.size();
    if (bytes->type_id() == arrow::Type::LARGE_BINARY)
      add_images<arrow::LargeBinaryArray>(*bytes, file, rows);
    else
      add_images<arrow::BinaryArray>(*bytes, file, rows);
    for (std::size_t i = before; i < rows.images.size(); ++i) all &= rows.images[i].size > 0;
    if (path)
      add_words(*path, paths);
    else
      paths.resize(rows.images.size());
    if (!label.empty()) {
      const auto words = batch.GetColumnByName(label);
      need(words != nullptr, "it has no column " + label);
      add_words(*words, rows.labels);
    }
    return true;
  });
  if (!all) rows.paths = std::move(paths);
}

// ----

// `path` tells what the file should be.
bool is_parquet(Bytes file, const std::string& path) {
  const std::string_view all(reinterpret_cast<const char*>(file.data()), file.size());
  need(!all.starts_with("PARE"), "encrypted");
  const bool parquet = all.starts_with("PAR1");
  need(parquet || !path.ends_with(".parquet"), "it is no Parquet file; an incomplete download?");
  return parquet;
}

std::string read_schema(const std::string& path, TableSchema& schema) {
  return error_of([&] {
    const MappedFile file(path);
    is_parquet(file.bytes(), path) ? parquet_schema(file.bytes(), schema)
                                   : arrow_schema(file.bytes(), schema);
  });
}

std::string read_rows(const std::string& path, const std::string& image, const std::string& label,
                      TableRows& rows) {
  return error_of([&] {
    const MappedFile file(path);
    is_parquet(file.bytes(), path) ? parquet_rows(file.bytes(), image, label, rows)
                                   : arrow_rows(file.bytes(), image, label, rows);
    need(rows.paths.empty() || rows.paths.size() == rows.images.size(), "damaged");
    need(label.empty() || rows.labels.size() == rows.images.size(), "damaged");
  });
}

std::string unpack(int codec, Bytes stored, std::span<std::uint8_t> out) {
  return error_of([&] {
    const auto unpacker =
        value_of(arrow::util::Codec::Create(static_cast<arrow::Compression::type>(codec)));
    const std::int64_t written =
        value_of(unpacker->Decompress(static_cast<std::int64_t>(stored.size()), stored.data(),
                                      static_cast<std::int64_t>(out.size()), out.data()));
    need(written == static_cast<std::int64_t>(out.size()), "damaged");
  });
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const TablePlugin* sgmae_table_plugin() {
  static const TablePlugin plugin{"Apache Arrow " + arrow::GetBuildInfo().version_string,
                                  read_schema,
                                  read_rows,
                                  unpack,
                                  write_features,
                                  read_features};
  return &plugin;
}

}  // namespace sgmae
