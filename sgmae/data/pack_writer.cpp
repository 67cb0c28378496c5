#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/base/log.h"
#include "sgmae/base/progress.h"
#include "sgmae/data/bytes.h"
#include "sgmae/data/files.h"
#include "sgmae/data/pack.h"
#include "sgmae/data/pack_layout.h"
#include "sgmae/data/parallel.h"
#include "sgmae/image/encode.h"
#include "sgmae/image/resize.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t frame_size = 8;  // size and CRC-32 before each image's bytes

// Not 0 for an unreadable image, so that zeros where a disk lost its data are no frames.
std::uint32_t frame_crc(std::span<const std::uint8_t> bytes) {
  constexpr std::uint32_t unreadable = 0xffffffff;
  return bytes.empty() ? unreadable
                       : static_cast<std::uint32_t>(crc32_z(0, bytes.data(), bytes.size()));
}

// The unfinished pack. Only one process can hold it.
class PartFile {
 public:
  explicit PartFile(fs::path path)
      : path_(std::move(path)),
        descriptor_(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
    check(descriptor_ >= 0, ExitCode::usage, "cannot write ", path_.string(), ": ", reason());
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
      ::close(descriptor_);
      fail(ExitCode::usage, "another process is writing ", path_.string(), "; let it finish");
    }
  }
  ~PartFile() { ::close(descriptor_); }
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;

  void write(std::uint64_t offset, std::span<const std::uint8_t> bytes) {
    while (!bytes.empty()) {
      const ssize_t count =
          ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (count < 0 && errno == EINTR) continue;
      check(count >= 0, ExitCode::usage, "cannot write ", path_.string(), ": ", reason(),
            "; make room and run the same command again: it continues from here");
      bytes = bytes.subspan(static_cast<std::size_t>(count));
      offset += static_cast<std::uint64_t>(count);
    }
  }
  void cut(std::uint64_t size) {
    const bool done = ::ftruncate(descriptor_, static_cast<off_t>(size)) == 0;
    check(done, ExitCode::usage, "cannot write ", path_.string(), ": ", reason());
  }
  void rename_to(const fs::path& target) {
    const bool done = ::fsync(descriptor_) == 0 && ::rename(path_.c_str(), target.c_str()) == 0;
    check(done, ExitCode::usage, "cannot write ", target.string(), ": ", reason());
  }
  const fs::path& path() const { return path_; }

 private:
  static std::string reason() { return std::strerror(errno); }

  fs::path path_;
  int descriptor_;
};

std::vector<std::uint8_t> header_bytes(const PackHeader& header) {
  ByteWriter writer;
  for (const std::uint8_t byte : pack_magic) writer.number(byte);
  writer.number(pack_version);
  writer.number(static_cast<std::uint32_t>(header.native_channels));
  writer.number(header.fingerprint);
  writer.number(header.index_offset);
  writer.number(header.index_size);
  writer.number(header.index_crc);
  while (writer.bytes().size() < pack_header_size - 4) writer.number(std::uint8_t{0});
  writer.number(
      static_cast<std::uint32_t>(crc32_z(0, writer.bytes().data(), writer.bytes().size())));
  return writer.bytes();
}

std::uint64_t fingerprint_of(const Source& source, const PackOptions& options) {
  Hash64 hash;
  hash.add(std::int64_t{options.max_side});
  hash.add(std::int64_t{options.quality});
  hash.add(source.size());
  for (const std::string& name : source.class_names()) hash.add(std::string_view(name));
  for (std::int64_t i = 0; i < source.size(); ++i) {
    hash.add(std::string_view(source.name(i)));
    hash.add(source.label(i));
  }
  return hash.value();
}

struct Encoded {
  std::vector<std::uint8_t> bytes;  // empty: unreadable
  bool scaled = false;
  std::string reason;
};

// What one thread works with.
struct Encoder {
  OpenedImage opened;
  Image pixels, small;
  Bands bands;
  Resizer resizer;
};

Encoded encode(const Source& source, std::int64_t index, const PackOptions& options,
               Encoder& encoder) {
  Encoded encoded;
  try {
    OpenedImage& opened = encoder.opened;
    source.open(index, opened);
    const int channels = opened.raw.data ? opened.raw.channels : opened.info.channels <= 2 ? 1 : 3;
    // Decoded even where the file is kept as it is: what cannot be read is to be found now.
    if (source.stored_values()) {
      decode_bands(opened, whole(opened.size), source.native_channels(), encoder.bands);
      encoded.bytes = std::move(opened.bytes);
      return encoded;
    }
    const ImageView pixels = decode(opened, whole(opened.size), channels, encoder.pixels);
    const int longer = std::max(opened.size.width, opened.size.height);
    if (options.max_side > 0 && longer > options.max_side) {
      const double scale = static_cast<double>(options.max_side) / longer;
      const auto scaled = [&](int side) {
        return std::max(1, static_cast<int>(std::lround(side * scale)));
      };
      encoder.resizer.resize(pixels, {scaled(opened.size.width), scaled(opened.size.height)}, false,
                             encoder.small);
      encoded.bytes = encode_jpeg(view(encoder.small), options.quality);
      encoded.scaled = true;
    } else if (opened.raw.data) {
      encoded.bytes = encode_png(pixels);
    } else {
      encoded.bytes = std::move(opened.bytes);
    }
  } catch (const Error& error) {
    encoded.bytes.clear();
    encoded.reason = error.what();
  }
  return encoded;
}

// The frames that a killed run left whole, one for each image from the first on; those of size 0
// stand for unreadable ones. `end` becomes where the next one goes.
std::vector<PackIndex::Record> frames_in(const fs::path& part, std::uint64_t fingerprint,
                                         std::int64_t most, std::uint64_t& end) {
  std::vector<PackIndex::Record> frames;
  const RandomAccessFile file(part, ExitCode::usage);
  end = 0;
  if (file.size() < pack_header_size) return frames;
  std::vector<std::uint8_t> bytes(pack_header_size);
  file.read(0, bytes);
  constexpr std::uint64_t anywhere = std::numeric_limits<std::uint64_t>::max();  // of the index
  try {
    if (read_pack_header(bytes, anywhere).fingerprint != fingerprint) {
      warn(part.string(), " belongs to another data set or other options; packing starts over");
      return frames;
    }
  } catch (const Error&) {
    return frames;
  }
  end = pack_header_size;
  while (static_cast<std::int64_t>(frames.size()) < most && file.size() - end >= frame_size) {
    bytes.resize(frame_size);
    file.read(end, bytes);
    ByteReader reader(bytes);
    PackIndex::Record record{.offset = end + frame_size, .size = 0, .crc = 0, .label = -1};
    record.size = reader.number<std::uint32_t>();
    record.crc = reader.number<std::uint32_t>();
    if (record.size > file.size() - record.offset) break;
    bytes.resize(record.size);
    file.read(record.offset, bytes);
    if (frame_crc(bytes) != record.crc) break;
    frames.push_back(record);
    end = record.offset + record.size;
  }
  return frames;
}

}  // namespace

PackReport write_pack(const Source& source, const fs::path& path, const PackOptions& options) {
  constexpr int jpeg_side = 65'500;  // libjpeg writes no larger ones
  check(options.max_side >= 0 && options.max_side <= jpeg_side, ExitCode::usage,
        "max_side must be from 0 to ", jpeg_side, ", not ", options.max_side);
  check(options.quality >= 1 && options.quality <= 100, ExitCode::usage,
        "quality must be from 1 to 100, not ", options.quality);
  std::error_code ignored;
  check(!fs::exists(path, ignored), ExitCode::usage, path.string(),
        " exists already; remove it or choose another name");
  check(options.max_side == 0 || !source.stored_values(), ExitCode::usage,
        "max_side scales 8-bit photos and stores them as JPEG, which values as stored are not; "
        "leave it out, and every file is kept as it is");
  PackHeader header;
  header.native_channels = source.stored_values() ? 3 : source.native_channels();
  header.fingerprint = fingerprint_of(source, options);

  PartFile part(path.string() + ".part");
  const std::int64_t total = source.size();
  std::uint64_t end = 0;
  std::vector<PackIndex::Record> frames = frames_in(part.path(), header.fingerprint, total, end);
  PackReport report;
  report.resumed = static_cast<std::int64_t>(frames.size());
  for (std::int64_t i = 0; i < report.resumed; ++i)
    if (frames[static_cast<std::size_t>(i)].size == 0)
      report.left_out.push_back(source.name(i) + ": unreadable in the run before");
  if (frames.empty()) {
    end = pack_header_size;
    part.cut(0);
    part.write(0, header_bytes(header));
  } else {
    part.cut(end);
  }

  constexpr std::int64_t chunk = 256;
  Progress progress("packing", total);
  for (std::int64_t first = report.resumed; first < total; first += chunk) {
    progress.show(first);
    std::vector<Encoded> encoded(static_cast<std::size_t>(std::min(chunk, total - first)));
    in_parallel(static_cast<std::int64_t>(encoded.size()), 1, options.num_workers, [&] {
      return [&, encoder = Encoder()](std::int64_t i, std::int64_t) mutable {
        encoded[static_cast<std::size_t>(i)] = encode(source, first + i, options, encoder);
      };
    });
    for (std::size_t i = 0; i < encoded.size(); ++i) {
      const std::vector<std::uint8_t>& bytes = encoded[i].bytes;
      SGMAE_ASSERT(bytes.size() <= std::numeric_limits<std::uint32_t>::max());
      if (bytes.empty())
        report.left_out.push_back(source.name(first + static_cast<std::int64_t>(i)) + ": " +
                                  encoded[i].reason);
      report.scaled += encoded[i].scaled;
      ByteWriter frame;
      const auto size = static_cast<std::uint32_t>(bytes.size());
      const std::uint32_t crc = frame_crc(bytes);
      frame.number(size);
      frame.number(crc);
      part.write(end, frame.bytes());
      part.write(end + frame_size, bytes);
      frames.push_back({end + frame_size, size, crc, -1});
      end += frame_size + size;
    }
  }

  const std::size_t folder = common_folder(source);
  ByteWriter index, names;
  report.images =
      std::count_if(frames.begin(), frames.end(), [](const auto& f) { return f.size > 0; });
  check(report.images > 0, ExitCode::data, "none of the ", total,
        " images can be read; the first: ",
        report.left_out.empty() ? std::string() : report.left_out.front());
  index.count(static_cast<std::size_t>(report.images));
  for (std::int64_t i = 0; i < total; ++i) {
    const PackIndex::Record& frame = frames[static_cast<std::size_t>(i)];
    if (frame.size == 0) continue;
    index.number(frame.offset);
    index.number(frame.size);
    index.number(frame.crc);
    index.number(static_cast<std::int32_t>(source.label(i)));
    names.text(source.name(i).substr(folder));  // a pack does not tell where its images once lay
  }
  index.count(source.class_names().size());
  for (const std::string& name : source.class_names()) index.text(name);
  header.index_offset = end;
  header.index_size = index.bytes().size() + names.bytes().size();
  header.index_crc =
      static_cast<std::uint32_t>(crc32_z(crc32_z(0, index.bytes().data(), index.bytes().size()),
                                         names.bytes().data(), names.bytes().size()));
  part.write(end, index.bytes());
  part.write(end + index.bytes().size(), names.bytes());
  part.write(0, header_bytes(header));
  part.rename_to(path);
  report.bytes = header.index_offset + header.index_size;
  return report;
}

}  // namespace sgmae
