#include "sgmae/io/zip.h"

#include <zlib.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <unordered_set>

namespace sgmae {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::uint32_t kLocalHeader = 0x04034b50, kCentralHeader = 0x02014b50, kEnd = 0x06054b50,
                        kEnd64 = 0x06064b50, kEnd64Locator = 0x07064b50;
constexpr std::uint32_t kIn64 = 0xFFFFFFFF;  // "see the zip64 field"
constexpr std::uint64_t kEndBytes = 22, kLocatorBytes = 20, kEnd64Bytes = 56, kLocalBytes = 30,
                        kCentralBytes = 46;
constexpr std::uint64_t kAllowance = 1 << 20;  // small archives may unfold more

template <class T>
T get(std::span<const std::uint8_t> bytes, std::uint64_t offset) {
  SGMAE_ASSERT(offset + sizeof(T) <= bytes.size());
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

template <class T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

std::uint32_t checksum(std::span<const std::uint8_t> bytes) {
  return static_cast<std::uint32_t>(crc32_z(crc32_z(0, nullptr, 0), bytes.data(), bytes.size()));
}

struct Directory {
  std::uint64_t entries, bytes, offset;
};

class Reader {
 public:
  explicit Reader(ZipArchive& archive) : archive_(archive), file_(archive.file) {}

  void run() {
    const Directory directory = find_directory();
    need(directory.offset <= file_.size() && directory.bytes <= file_.size() - directory.offset,
         "its directory is outside the file");
    need(directory.entries <= directory.bytes / kCentralBytes, "its directory is cut off");
    auto rest = file_.subspan(directory.offset, directory.bytes);
    for (std::uint64_t i = 0; i < directory.entries; ++i)
      rest = rest.subspan(read_central_header(rest));
    check_entries(directory.offset);
  }

 private:
  void need(bool condition, const char* why) const {
    check(condition, archive_.code, archive_.where, " cannot be read as a zip archive: ", why);
  }

  // From the record at the end of the file, behind which there may be a comment.
  Directory find_directory() const {
    need(file_.size() >= kEndBytes, "it is cut off");
    const std::uint64_t last = file_.size() - kEndBytes;
    const std::uint64_t first = last - std::min<std::uint64_t>(last, 0xFFFF);
    std::uint64_t end = last;
    while (get<std::uint32_t>(file_, end) != kEnd ||
           end + kEndBytes + get<std::uint16_t>(file_, end + 20) > file_.size()) {
      need(end > first, "its end is missing; an incomplete download?");
      --end;
    }
    need(get<std::uint16_t>(file_, end + 4) == 0 || get<std::uint16_t>(file_, end + 4) == 0xFFFF,
         "it is one part of several");
    Directory directory{get<std::uint16_t>(file_, end + 10), get<std::uint32_t>(file_, end + 12),
                        get<std::uint32_t>(file_, end + 16)};
    const bool in64 =
        directory.entries == 0xFFFF || directory.bytes == kIn64 || directory.offset == kIn64;
    if (!in64) return directory;

    need(end >= kLocatorBytes && get<std::uint32_t>(file_, end - kLocatorBytes) == kEnd64Locator,
         "its zip64 record is missing");
    const auto end64 = get<std::uint64_t>(file_, end - kLocatorBytes + 8);
    need(file_.size() >= kEnd64Bytes && end64 <= file_.size() - kEnd64Bytes &&
             get<std::uint32_t>(file_, end64) == kEnd64,
         "its zip64 record is missing");
    return {get<std::uint64_t>(file_, end64 + 32), get<std::uint64_t>(file_, end64 + 40),
            get<std::uint64_t>(file_, end64 + 48)};
  }

  // Appends the entry at the start of `rest`, whose `offset` is its local header's for now. Returns
  // the header's length.
  std::uint64_t read_central_header(std::span<const std::uint8_t> rest) {
    need(rest.size() >= kCentralBytes && get<std::uint32_t>(rest, 0) == kCentralHeader,
         "its directory is damaged");
    const auto flags = get<std::uint16_t>(rest, 8), method = get<std::uint16_t>(rest, 10);
    const std::uint64_t name_bytes = get<std::uint16_t>(rest, 28),
                        extra_bytes = get<std::uint16_t>(rest, 30),
                        comment_bytes = get<std::uint16_t>(rest, 32);
    const std::uint64_t length = kCentralBytes + name_bytes + extra_bytes + comment_bytes;
    need(length <= rest.size(), "its directory is damaged");
    need((flags & 1) == 0, "it is encrypted");
    need(method == 0 || method == 8, "it is compressed with a method other than deflate");

    ZipEntry entry;
    entry.name.assign(reinterpret_cast<const char*>(rest.data()) + kCentralBytes, name_bytes);
    entry.crc = get<std::uint32_t>(rest, 16);
    entry.stored_bytes = get<std::uint32_t>(rest, 20);
    entry.bytes = get<std::uint32_t>(rest, 24);
    entry.offset = get<std::uint32_t>(rest, 42);
    entry.deflated = method == 8;
    read_zip64_field(rest.subspan(kCentralBytes + name_bytes, extra_bytes), entry);
    need(entry.deflated || entry.stored_bytes == entry.bytes, "an entry has two sizes");
    archive_.entries.push_back(std::move(entry));
    return length;
  }

  // The zip64 field holds, in this order, those of the values that did not fit into 32 bits.
  void read_zip64_field(std::span<const std::uint8_t> extra, ZipEntry& entry) const {
    while (extra.size() >= 4) {
      const auto id = get<std::uint16_t>(extra, 0);
      const std::uint64_t length = get<std::uint16_t>(extra, 2);
      need(length <= extra.size() - 4, "its directory is damaged");
      std::span<const std::uint8_t> field = extra.subspan(4, length);
      extra = extra.subspan(4 + length);
      if (id != 1) continue;
      for (std::uint64_t* value : {&entry.bytes, &entry.stored_bytes, &entry.offset}) {
        if (*value != kIn64) continue;
        need(field.size() >= 8, "its directory is damaged");
        *value = get<std::uint64_t>(field, 0);
        field = field.subspan(8);
      }
      return;
    }
  }

  // Finds each entry's data behind its local header, and sees that entries neither overlap nor
  // reach into the directory, nor unfold to more than there should be.
  void check_entries(std::uint64_t directory_offset) {
    struct Extent {
      std::uint64_t begin, end;
    };
    std::vector<Extent> extents;
    std::unordered_set<std::string_view> names;
    std::uint64_t unfolded = 0;
    const std::uint64_t limit = kZipMaxRatio * file_.size() + kAllowance;
    for (ZipEntry& entry : archive_.entries) {
      const std::uint64_t begin = entry.offset;
      need(directory_offset >= kLocalBytes && begin <= directory_offset - kLocalBytes &&
               get<std::uint32_t>(file_, begin) == kLocalHeader,
           "an entry is outside the file");
      entry.offset = begin + kLocalBytes + get<std::uint16_t>(file_, begin + 26) +
                     get<std::uint16_t>(file_, begin + 28);
      need(
          entry.offset <= directory_offset && entry.stored_bytes <= directory_offset - entry.offset,
          "an entry is outside the file");
      extents.push_back({begin, entry.offset + entry.stored_bytes});
      need(entry.bytes <= limit - unfolded, "it unpacks to far more than its size (a zip bomb?)");
      unfolded += entry.bytes;
      need(names.insert(entry.name).second, "two entries have the same name");
    }
    std::sort(extents.begin(), extents.end(),
              [](const Extent& a, const Extent& b) { return a.begin < b.begin; });
    for (std::size_t i = 1; i < extents.size(); ++i)
      need(extents[i - 1].end <= extents[i].begin, "entries overlap (a zip bomb?)");
  }

  ZipArchive& archive_;
  std::span<const std::uint8_t> file_;
};

// Exactly `bytes` of them; false where the stream holds fewer, more, or nonsense.
bool inflate_into(std::span<const std::uint8_t> stored, std::vector<std::uint8_t>& out,
                  std::uint64_t bytes) {
  out.resize(bytes);
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return false;
  constexpr std::uint64_t kPiece = std::numeric_limits<uInt>::max();
  stream.next_in = const_cast<Bytef*>(stored.data());
  std::uint64_t left_in = stored.size(), left_out = bytes;
  std::uint8_t beyond = 0;  // where zlib may put a byte too many
  stream.next_out = bytes > 0 ? out.data() : &beyond;
  int status = Z_OK;
  while (status == Z_OK) {
    const auto in = static_cast<uInt>(std::min(left_in, kPiece));
    const auto room = static_cast<uInt>(std::min(left_out, kPiece));
    if (room == 0) stream.next_out = &beyond;
    stream.avail_in = in;
    stream.avail_out = room > 0 ? room : 1;
    status = inflate(&stream, Z_NO_FLUSH);
    left_in -= in - stream.avail_in;
    if (room == 0) {
      if (stream.avail_out == 0) status = Z_DATA_ERROR;  // it holds more
    } else {
      left_out -= room - stream.avail_out;
    }
  }
  inflateEnd(&stream);
  return status == Z_STREAM_END && left_in == 0 && left_out == 0;
}

}  // namespace

const ZipEntry* ZipArchive::find(std::string_view name) const {
  const auto found = std::find_if(entries.begin(), entries.end(),
                                  [&](const ZipEntry& entry) { return entry.name == name; });
  return found == entries.end() ? nullptr : &*found;
}

ZipArchive read_zip_directory(std::span<const std::uint8_t> file, const std::string& where,
                              ExitCode code) {
  ZipArchive archive{file, where, code, {}};
  Reader(archive).run();
  return archive;
}

ZipContent read_zip_entry(const ZipArchive& archive, const ZipEntry& entry) {
  const auto stored = archive.file.subspan(entry.offset, entry.stored_bytes);
  ZipContent content;
  if (entry.deflated) {
    check(inflate_into(stored, content.inflated, entry.bytes), archive.code, archive.where,
          " is damaged: its entry ", entry.name, " does not unpack to the size that is stated");
    content.bytes = content.inflated;
  } else {
    content.bytes = stored;
  }
  check(entry.crc == 0 || checksum(content.bytes) == entry.crc, archive.code, archive.where,
        " is damaged: its entry ", entry.name,
        " does not match its checksum; an incomplete download?");
  return content;
}

void ZipWriter::write(std::string_view bytes) {
  sink_(bytes);
  position_ += bytes.size();
}

void ZipWriter::add(const std::string& name, std::span<const std::uint8_t> bytes) {
  constexpr std::uint16_t kVersion = 45;                                         // zip64
  constexpr std::uint16_t kUtf8 = 0x0800, kStored = 0, kTime = 0, kDate = 0x21;  // 1 January 1980
  constexpr std::uint64_t kAlignment = 64;
  const std::uint64_t begin = position_;
  const std::uint32_t crc = checksum(bytes);
  const auto name_bytes = static_cast<std::uint16_t>(name.size());
  const std::uint64_t before_padding = begin + kLocalBytes + name.size() + 20 + 4;
  const auto padding =
      static_cast<std::uint16_t>((kAlignment - before_padding % kAlignment) % kAlignment);

  const auto common = [&](std::string& out) {
    for (const std::uint16_t field : {kVersion, kUtf8, kStored, kTime, kDate}) put(out, field);
    for (const std::uint32_t field : {crc, kIn64, kIn64}) put(out, field);
    put(out, name_bytes);
  };
  std::string header;
  put(header, kLocalHeader);
  common(header);
  put(header, static_cast<std::uint16_t>(20 + 4 + padding));
  header += name;
  put(header, std::uint16_t{1});
  put(header, std::uint16_t{16});
  put(header, std::uint64_t{bytes.size()});
  put(header, std::uint64_t{bytes.size()});
  header += "FB";  // torch's name for its padding
  put(header, padding);
  header.append(padding, 'Z');
  write(header);
  write({reinterpret_cast<const char*>(bytes.data()), bytes.size()});

  put(directory_, kCentralHeader);
  put(directory_, kVersion);
  common(directory_);
  put(directory_, std::uint16_t{28});
  for (int i = 0; i < 3; ++i) put(directory_, std::uint16_t{0});  // comment, part, attributes
  put(directory_, std::uint32_t{0});                              // attributes
  put(directory_, kIn64);
  directory_ += name;
  put(directory_, std::uint16_t{1});
  put(directory_, std::uint16_t{24});
  for (const std::uint64_t field :
       {std::uint64_t{bytes.size()}, std::uint64_t{bytes.size()}, begin})
    put(directory_, field);
  ++entries_;
}

void ZipWriter::finish() {
  const std::uint64_t directory_begin = position_;
  write(directory_);
  const std::uint64_t end64 = position_;
  std::string end;
  put(end, kEnd64);
  put(end, kEnd64Bytes - 12);
  put(end, std::uint16_t{45});
  put(end, std::uint16_t{45});
  put(end, std::uint32_t{0});
  put(end, std::uint32_t{0});
  for (const std::uint64_t field :
       {entries_, entries_, std::uint64_t{directory_.size()}, directory_begin})
    put(end, field);
  put(end, kEnd64Locator);
  put(end, std::uint32_t{0});
  put(end, end64);
  put(end, std::uint32_t{1});
  put(end, kEnd);
  put(end, std::uint32_t{0});
  for (int i = 0; i < 2; ++i) put(end, std::uint16_t{0xFFFF});
  for (int i = 0; i < 2; ++i) put(end, kIn64);
  put(end, std::uint16_t{0});
  write(end);
}

}  // namespace sgmae
