#include "sgmae/arrow/features.h"

#include <arrow/array.h>
#include <arrow/array/builder_binary.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/io/interfaces.h>
#include <arrow/table.h>
#include <arrow/type.h>
#include <arrow/util/key_value_metadata.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/writer.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>

#include "sgmae/arrow/calls.h"
#include "sgmae/base/file.h"

namespace sgmae {
namespace {

using Arrays = std::vector<std::shared_ptr<arrow::Array>>;

// Bytes of features in a group of rows, which is written as a whole, and the most rows of one.
constexpr std::int64_t group_bytes = std::int64_t{64} << 20, group_rows = std::int64_t{1} << 17;

std::shared_ptr<arrow::DataType> list_of(const std::shared_ptr<arrow::DataType>& type,
                                         std::int64_t size) {
  return arrow::fixed_size_list(arrow::field("element", type, /*nullable=*/false),
                                static_cast<std::int32_t>(size));
}

std::int64_t row_size(const std::vector<std::int64_t>& shape) {  // floats
  std::int64_t size = 1;
  for (std::size_t axis = 1; axis < shape.size(); ++axis) size *= shape[axis];
  return size;
}

std::shared_ptr<arrow::Schema> schema_of(const FeatureTable& table) {
  std::shared_ptr<arrow::DataType> feature = arrow::float32();
  for (std::size_t axis = table.shape.size() - 1; axis >= 1; --axis)
    feature = list_of(feature, table.shape[axis]);
  return arrow::schema(
      {arrow::field("path", arrow::utf8(), false), arrow::field("label", arrow::int64(), false),
       arrow::field("class_name", arrow::utf8()), arrow::field("readable", arrow::boolean(), false),
       arrow::field("feature", feature, false)},
      std::make_shared<arrow::KeyValueMetadata>(std::unordered_map<std::string, std::string>(
          table.metadata.begin(), table.metadata.end())));
}

template <class Builder, class Append>
std::shared_ptr<arrow::Array> built(std::int64_t begin, std::int64_t end, const Append& append) {
  Builder builder;
  for (std::int64_t row = begin; row < end; ++row)
    need(append(builder, static_cast<std::size_t>(row)));
  return value_of(builder.Finish());
}

// The columns of rows `begin` to `end`; features stay where they are.
Arrays columns_of(const FeatureTable& table, std::span<const float> features, std::int64_t begin,
                  std::int64_t end) {
  const auto size = static_cast<std::size_t>(row_size(table.shape));
  const std::span<const float> values = features.subspan(
      static_cast<std::size_t>(begin) * size, static_cast<std::size_t>(end - begin) * size);
  std::shared_ptr<arrow::Array> feature = std::make_shared<arrow::FloatArray>(
      static_cast<std::int64_t>(values.size()),
      std::make_shared<arrow::Buffer>(reinterpret_cast<const std::uint8_t*>(values.data()),
                                      static_cast<std::int64_t>(values.size_bytes())));
  for (std::size_t axis = table.shape.size() - 1; axis >= 1; --axis) {
    const std::int64_t length = table.shape[axis];
    feature = std::make_shared<arrow::FixedSizeListArray>(list_of(feature->type(), length),
                                                          feature->length() / length, feature);
  }
  using arrow::BooleanBuilder, arrow::Int64Builder, arrow::StringBuilder;
  return {built<StringBuilder>(
              begin, end,
              [&](StringBuilder& to, std::size_t row) { return to.Append(table.paths[row]); }),
          built<Int64Builder>(
              begin, end,
              [&](Int64Builder& to, std::size_t row) { return to.Append(table.labels[row]); }),
          built<StringBuilder>(begin, end,
                               [&](StringBuilder& to, std::size_t row) {
                                 const std::string& name = table.class_names[row];
                                 return name.empty() ? to.AppendNull() : to.Append(name);
                               }),
          built<BooleanBuilder>(begin, end,
                                [&](BooleanBuilder& to, std::size_t row) {
                                  return to.Append(bool{table.readable[row]});
                                }),
          feature};
}

// Arrow takes no exceptions: the sink's is kept.
class SinkStream : public arrow::io::OutputStream {
 public:
  explicit SinkStream(const ByteSink& sink) : sink_(sink) {}

  arrow::Status Write(const void* data, std::int64_t bytes) override {
    try {
      sink_(data, static_cast<std::size_t>(bytes));
    } catch (...) {
      failure_ = std::current_exception();
      return arrow::Status::IOError("not written");
    }
    written_ += bytes;
    return arrow::Status::OK();
  }
  arrow::Result<std::int64_t> Tell() const override { return written_; }
  arrow::Status Close() override {
    closed_ = true;
    return arrow::Status::OK();
  }
  bool closed() const override { return closed_; }
  const std::exception_ptr& failure() const { return failure_; }

 private:
  const ByteSink& sink_;
  std::int64_t written_ = 0;
  bool closed_ = false;
  std::exception_ptr failure_;
};

std::shared_ptr<arrow::Array> column(const arrow::RecordBatch& batch, const char* name,
                                     arrow::Type::type type) {
  std::shared_ptr<arrow::Array> found = batch.GetColumnByName(name);
  need(found && found->type_id() == type,
       std::string("its column ") + name + " is not there, or not as sgmae embed writes it");
  need(found->ValidateFull());
  return found;
}

// The lengths of nested lists of floats, and the floats.
std::pair<std::vector<std::int64_t>, std::shared_ptr<arrow::Array>> unnested(
    std::shared_ptr<arrow::Array> lists) {
  std::vector<std::int64_t> lengths;
  while (lists->type_id() == arrow::Type::FIXED_SIZE_LIST) {
    const auto& outer = static_cast<const arrow::FixedSizeListArray&>(*lists);
    need(outer.null_count() == 0 && outer.list_type()->list_size() > 0,
         "a row of its column feature is null or empty");
    lengths.push_back(outer.list_type()->list_size());
    lists = value_of(outer.Flatten());
  }
  need(lists->type_id() == arrow::Type::FLOAT && lists->null_count() == 0 && !lengths.empty(),
       "its column feature does not hold lists of float32, all of one length");
  return {lengths, lists};
}

// `rows` are those of the file, which has `most` bytes.
void take_rows(const arrow::RecordBatch& batch, std::int64_t rows, std::size_t most,
               FeatureTable& table, std::vector<float>& features) {
  using arrow::Type;
  const auto paths = column(batch, "path", Type::STRING),
             labels = column(batch, "label", Type::INT64),
             names = column(batch, "class_name", Type::STRING),
             readable = column(batch, "readable", Type::BOOL);
  need(paths->null_count() + labels->null_count() + readable->null_count() == 0,
       "a path, a label or a mark of readability is null");
  const auto& path = static_cast<const arrow::StringArray&>(*paths);
  const auto& label = static_cast<const arrow::Int64Array&>(*labels);
  const auto& name = static_cast<const arrow::StringArray&>(*names);
  const auto& read = static_cast<const arrow::BooleanArray&>(*readable);
  for (std::int64_t row = 0; row < batch.num_rows(); ++row) {
    table.paths.push_back(path.GetString(row));
    table.labels.push_back(label.Value(row));
    table.class_names.push_back(name.IsNull(row) ? "" : name.GetString(row));
    table.readable.push_back(read.Value(row));
  }
  const auto [lengths, values] = unnested(column(batch, "feature", Type::FIXED_SIZE_LIST));
  if (table.shape.empty()) {
    table.shape = {0};
    table.shape.insert(table.shape.end(), lengths.begin(), lengths.end());
    // Of what a damaged file claims, no more than it could hold.
    const auto size = static_cast<std::size_t>(row_size(table.shape));
    features.reserve(std::min(most / size, static_cast<std::size_t>(rows)) * size);
  }
  table.shape.front() += batch.num_rows();
  const auto& floats = static_cast<const arrow::FloatArray&>(*values);
  features.insert(features.end(), floats.raw_values(), floats.raw_values() + floats.length());
}

}  // namespace

std::string write_features(const FeatureTable& table, std::span<const float> features,
                           const ByteSink& sink) {
  const auto stream = std::make_shared<SinkStream>(sink);
  const std::string wrong = error_of([&] {
    const std::int64_t rows = table.shape.front(),
                       row_bytes = static_cast<std::int64_t>(sizeof(float)) * row_size(table.shape),
                       step = std::clamp(group_bytes / row_bytes, std::int64_t{1}, group_rows);
    // Features do not compress, and repeat only where images do.
    const auto as_they_are = parquet::WriterProperties::Builder()
                                 .disable_dictionary()
                                 ->enable_dictionary("class_name")
                                 ->build();
    const auto with_schema = parquet::ArrowWriterProperties::Builder().store_schema()->build();
    const auto schema = schema_of(table);
    const auto writer = value_of(parquet::arrow::FileWriter::Open(
        *schema, arrow::default_memory_pool(), stream, as_they_are, with_schema));
    for (std::int64_t begin = 0; begin < rows; begin += step) {
      const std::int64_t end = std::min(rows, begin + step);
      need(writer->WriteTable(*arrow::Table::Make(schema, columns_of(table, features, begin, end)),
                              step));
    }
    need(writer->Close());
  });
  if (stream->failure()) std::rethrow_exception(stream->failure());
  return wrong;
}

std::string read_features(const std::string& path, FeatureTable& table,
                          std::vector<float>& features) {
  return error_of([&] {
    const MappedFile file(path);
    parquet::arrow::FileReaderBuilder builder;
    parquet::ArrowReaderProperties few_at_a_time;
    few_at_a_time.set_batch_size(4096);
    need(builder.Open(reader_of(file.bytes())));
    builder.properties(few_at_a_time);
    const std::int64_t rows = builder.raw_reader()->metadata()->num_rows();
    const auto reader = value_of(builder.Build());
    const auto batches = value_of(reader->GetRecordBatchReader());
    if (const auto entries = batches->schema()->metadata())
      for (std::int64_t i = 0; i < entries->size(); ++i)
        table.metadata[entries->key(i)] = entries->value(i);
    std::shared_ptr<arrow::RecordBatch> batch;
    while (need(batches->ReadNext(&batch)), batch)
      take_rows(*batch, rows, file.bytes().size(), table, features);
  });
}

}  // namespace sgmae
