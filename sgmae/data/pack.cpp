#include "sgmae/data/pack.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/data/bytes.h"
#include "sgmae/data/files.h"
#include "sgmae/data/pack_layout.h"
#include "sgmae/data/split.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

class PackSource : public Source {
 public:
  explicit PackSource(const fs::path& path) : path_(path), file_(path) {
    try {
      std::array<std::uint8_t, pack_header_size> bytes{};
      check(file_.size() >= bytes.size(), ExitCode::data, "truncated: it ends in its header");
      file_.read(0, bytes);
      const PackHeader header = read_pack_header(bytes, file_.size());
      colour_channels_ = header.native_channels;
      std::vector<std::uint8_t> index(static_cast<std::size_t>(header.index_size));
      file_.read(header.index_offset, index);
      PackIndex read = read_pack_index(index, header);
      records_ = std::move(read.records);
      names_ = std::move(read.names);
      class_names_ = std::move(read.class_names);
    } catch (const Error& error) {
      fail(error.code(), path.string(), " is not an intact packed data set: ", error.what(),
           "; create it again with sgmae data pack");
    }
    labels_.reserve(records_.size());
    for (const PackIndex::Record& record : records_) labels_.push_back(record.label);
  }

  std::int64_t size() const override { return static_cast<std::int64_t>(records_.size()); }
  std::string name(std::int64_t index) const override {
    return path_.string() + "/" + names_[static_cast<std::size_t>(index)];
  }
  void open(std::int64_t index, OpenedImage& opened) const override {
    const PackIndex::Record& record = records_[static_cast<std::size_t>(index)];
    opened.raw = {};
    opened.bytes.resize(record.size);
    file_.read(record.offset, opened.bytes);
    check(crc32_z(0, opened.bytes.data(), record.size) == record.crc, ExitCode::data,
          "its checksum does not match; the pack is damaged here");
    read_info(opened);
  }

 protected:
  int colour_channels() const override { return colour_channels_; }
  std::int64_t content_mark(std::int64_t index) const override {
    const PackIndex::Record& record = records_[static_cast<std::size_t>(index)];
    return static_cast<std::int64_t>(std::uint64_t{record.size} << 32 | record.crc);
  }

 private:
  fs::path path_;
  RandomAccessFile file_;
  int colour_channels_ = 3;
  std::vector<PackIndex::Record> records_;
  std::vector<std::string> names_;
};

std::string replaced(std::string text, std::string_view from, const std::string& to) {
  const std::size_t at = text.rfind(from);
  if (at != std::string::npos) text.replace(at, from.size(), to);
  return text;
}

}  // namespace

PackHeader read_pack_header(std::span<const std::uint8_t> bytes, std::uint64_t file_size) {
  check(bytes.size() >= pack_header_size &&
            std::equal(pack_magic.begin(), pack_magic.end(), bytes.begin()),
        ExitCode::data, "it does not start with the magic bytes of one");
  ByteReader reader(bytes.subspan(pack_magic.size(), pack_header_size - pack_magic.size()));
  const auto version = reader.number<std::uint32_t>();
  check(version == pack_version, ExitCode::data, "its version is ", version,
        " and this program reads version ", pack_version);
  const auto stored_crc = crc32_z(0, bytes.data(), pack_header_size - 4);
  PackHeader header;
  header.native_channels = static_cast<int>(reader.number<std::uint32_t>());
  header.fingerprint = reader.number<std::uint64_t>();
  header.index_offset = reader.number<std::uint64_t>();
  header.index_size = reader.number<std::uint64_t>();
  header.index_crc = reader.number<std::uint32_t>();
  check(ByteReader(bytes.subspan(pack_header_size - 4)).number<std::uint32_t>() == stored_crc,
        ExitCode::data, "the checksum of its header does not match");
  check(header.native_channels == 1 || header.native_channels == 3, ExitCode::data,
        "its header claims ", header.native_channels, " channels");
  check(header.index_offset <= file_size && header.index_size <= file_size - header.index_offset,
        ExitCode::data, "truncated: its index is beyond the end of the file");
  return header;
}

PackIndex read_pack_index(std::span<const std::uint8_t> bytes, const PackHeader& header) {
  check(header.index_offset >= pack_header_size, ExitCode::data, "it was never finished");
  check(crc32_z(0, bytes.data(), bytes.size()) == header.index_crc, ExitCode::data,
        "the checksum of its index does not match");
  constexpr std::size_t record_size = 20, smallest_text = 4;
  PackIndex index;
  ByteReader reader(bytes);
  index.records.resize(reader.count(record_size + smallest_text));
  for (PackIndex::Record& record : index.records) {
    record.offset = reader.number<std::uint64_t>();
    record.size = reader.number<std::uint32_t>();
    record.crc = reader.number<std::uint32_t>();
    record.label = reader.number<std::int32_t>();
    check(
        record.offset <= header.index_offset && record.size <= header.index_offset - record.offset,
        ExitCode::data, "an image is outside the file");
  }
  index.class_names.resize(reader.count(smallest_text));
  for (std::string& name : index.class_names) name = reader.text();
  index.names.resize(index.records.size());
  for (std::string& name : index.names) name = reader.text();
  const auto classes = static_cast<std::int64_t>(index.class_names.size());
  for (const PackIndex::Record& record : index.records)
    check(record.label >= -1 && record.label < classes, ExitCode::data, "an image has label ",
          record.label, " of ", classes, " classes");
  check(!index.records.empty(), ExitCode::data, "it contains no image");
  return index;
}

std::optional<fs::path> find_pack(const fs::path& folder, const std::string& split) {
  return file_of_split(folder, split, ".sgpack");
}

std::unique_ptr<Source> open_pack(const fs::path& path, const std::string& split) {
  if (is_folder(path)) {
    const auto found = find_pack(path, split);
    check(found.has_value(), ExitCode::data, "there is no ", split, ".sgpack in ", path.string());
    return std::make_unique<PackSource>(*found);
  }
  if (split == "train") return std::make_unique<PackSource>(path);
  const std::string file = path.filename().string();
  for (const std::string& name : names_of_split(split)) {
    const fs::path beside = path.parent_path() / replaced(file, "train", name);
    if (beside != path && is_file(beside)) return std::make_unique<PackSource>(beside);
  }
  fail(ExitCode::data, "there is no pack for '", split, "' beside ", path.string(), "; expected ",
       replaced(file, "train", split) == file ? split + ".sgpack" : replaced(file, "train", split));
}

}  // namespace sgmae
