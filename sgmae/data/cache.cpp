#include "sgmae/data/cache.h"

#include <zlib.h>

#include <cstdlib>
#include <iomanip>
#include <sstream>
#include <system_error>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/data/bytes.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

// Kind, version, CRC-32 of what follows.
std::vector<std::uint8_t> header(const CachePlace& place, std::span<const std::uint8_t> contents) {
  ByteWriter writer;
  writer.text(place.kind);
  writer.number(place.version);
  writer.number(static_cast<std::uint32_t>(crc32_z(0, contents.data(), contents.size())));
  return writer.bytes();
}

// Where the cache may lie, best first.
std::vector<fs::path> places(const CachePlace& place) {
  std::vector<fs::path> paths;
  if (place.beside)
    paths.push_back(place.about.parent_path() /
                    ("." + place.about.filename().string() + "." + place.kind));
  std::error_code error;
  const fs::path absolute = fs::weakly_canonical(place.about, error);
  if (const fs::path folder = user_cache_folder(); !error && !folder.empty()) {
    Hash64 hash;
    hash.add(std::string_view(absolute.native()));
    std::ostringstream name;
    name << std::hex << std::setw(16) << std::setfill('0') << hash.value() << "." << place.kind;
    paths.push_back(folder / name.str());
  }
  return paths;
}

}  // namespace

fs::path user_cache_folder() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache && *cache)
    return fs::path(cache) / "sgmae";
  if (const char* home = std::getenv("HOME"); home && *home)
    return fs::path(home) / ".cache" / "sgmae";
  return {};
}

std::optional<std::vector<std::uint8_t>> read_cache(const CachePlace& place) {
  for (const fs::path& path : places(place)) {
    std::error_code error;
    if (!fs::is_regular_file(path, error)) continue;
    try {
      std::vector<std::uint8_t> bytes = read_file(path);
      const std::size_t size = header(place, {}).size();
      if (bytes.size() < size) continue;
      const std::span<const std::uint8_t> contents = std::span(bytes).subspan(size);
      const std::vector<std::uint8_t> expected = header(place, contents);
      if (!std::equal(expected.begin(), expected.end(), bytes.begin())) continue;
      return std::vector<std::uint8_t>(contents.begin(), contents.end());
    } catch (const Error&) {  // as good as missing
    }
  }
  return std::nullopt;
}

void write_cache(const CachePlace& place, std::span<const std::uint8_t> contents) {
  for (const fs::path& path : places(place)) {
    try {
      std::error_code error;
      if (!place.about.empty() && path.parent_path() != place.about.parent_path())
        fs::create_directories(path.parent_path(), error);
      AtomicFile file(path);
      const std::vector<std::uint8_t> first = header(place, contents);
      file.write(first.data(), first.size());
      file.write(contents.data(), contents.size());
      file.commit();
      return;
    } catch (const Error&) {  // the next place, or none
    }
  }
}

}  // namespace sgmae
