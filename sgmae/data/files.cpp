#include "sgmae/data/files.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/base/log.h"
#include "sgmae/data/bytes.h"

namespace sgmae {

namespace fs = std::filesystem;

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

fs::path in_sister_folder(const fs::path& image, const char* own, const char* sister,
                          const char* extension) {
  std::vector<fs::path> parts(image.begin(), image.end());
  const auto found = std::find(parts.rbegin(), parts.rend(), fs::path(own));
  if (found == parts.rend()) return {};
  *found = sister;
  fs::path path;
  for (const fs::path& part : parts) path /= part;
  return path.replace_extension(extension);
}

ImageSize upright_size_of(const fs::path& path) {
  try {
    // A JPEG says it at its beginning; others may have their orientation at the end.
    constexpr std::uint64_t beginning = 1 << 16;
    const RandomAccessFile file(path);
    std::vector<std::uint8_t> bytes(static_cast<std::size_t>(std::min(file.size(), beginning)));
    file.read(0, bytes);
    if (file.size() > beginning && bytes[0] == 0xff && bytes[1] == 0xd8) {
      try {
        return read_image_info(bytes).size;
      } catch (const Error&) {  // a long preface
      }
    }
    if (file.size() > beginning) bytes = read_file(path, ExitCode::data, max_image_bytes);
    return read_image_info(bytes).size;
  } catch (const Error&) {
    return {};
  }
}

Listing look_into(const fs::path& folder) {
  Listing listing;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::string name = it->path().filename().string();
    // The kind comes with the listing; only a link costs a question of its own.
    std::error_code ignored;
    if (name.front() == '.')
      listing.hidden.push_back(std::move(name));
    else
      listing.entries.push_back({std::move(name), it->is_directory(ignored)});
  }
  listing.read = !error;
  if (error)
    warn("cannot read folder ", folder.string(), ": ", error.message(), "; it is left out");
  std::sort(listing.entries.begin(), listing.entries.end(),
            [](const FolderEntry& a, const FolderEntry& b) { return a.name < b.name; });
  std::sort(listing.hidden.begin(), listing.hidden.end());
  return listing;
}

std::vector<FolderEntry> list_folder(const fs::path& folder) {
  return look_into(folder).entries;
}

std::size_t common_folder(const Source& source) {
  if (source.size() == 0) return 0;
  const std::string first = source.name(0);
  std::size_t length = first.rfind('/') + 1;  // npos + 1 is 0
  for (std::int64_t i = 1; i < source.size() && length > 0; ++i) {
    const std::string name = source.name(i);
    const std::size_t shorter = std::min(length, name.size());
    const auto [end, unused] = std::mismatch(
        first.begin(), first.begin() + static_cast<std::ptrdiff_t>(shorter), name.begin());
    const auto same = static_cast<std::size_t>(end - first.begin());
    if (same < length) length = same == 0 ? 0 : first.rfind('/', same - 1) + 1;
  }
  return length;
}

std::vector<std::string> files_below(const fs::path& folder,
                                     const std::function<bool(const std::string&)>& keep,
                                     const std::function<bool(const std::string&)>& enter) {
  std::vector<std::string> files;
  const auto walk = [&](const auto& self, const fs::path& inside, int depth) -> void {
    for (const auto& [name, is_a_folder] : list_folder(folder / inside)) {
      if (is_a_folder && depth < deepest_folder && enter(name))
        self(self, inside / name, depth + 1);
      else if (!is_a_folder && keep(name))
        files.push_back((inside / name).string());
    }
  };
  walk(walk, "", 0);
  return files;
}

FileSource::FileSource(fs::path root, std::vector<std::string> paths, Labels labels,
                       std::vector<LeftOut> left_out)
    : root_(std::move(root)), paths_(std::move(paths)) {
  SGMAE_ASSERT(labels.labels.size() == paths_.size());
  labels_ = std::move(labels.labels);
  class_names_ = std::move(labels.class_names);
  left_out_ = std::move(left_out);
}

std::string FileSource::name(std::int64_t index) const {
  return (root_ / paths_[static_cast<std::size_t>(index)]).string();
}

void FileSource::open(std::int64_t index, OpenedImage& opened) const {
  opened.raw = {};
  opened.bytes =
      read_file(root_ / paths_[static_cast<std::size_t>(index)], ExitCode::data, max_image_bytes);
  read_info(opened);
}

std::int64_t FileSource::content_mark(std::int64_t index) const {
  std::error_code error;
  const auto size = fs::file_size(root_ / paths_[static_cast<std::size_t>(index)], error);
  return error ? -1 : static_cast<std::int64_t>(size);
}

RawSource::RawSource(std::string name, std::vector<std::uint8_t> pixels, ImageSize size,
                     int channels, Labels labels)
    : name_(std::move(name)), pixels_(std::move(pixels)), image_size_(size), channels_(channels) {
  labels_ = std::move(labels.labels);
  class_names_ = std::move(labels.class_names);
  SGMAE_ASSERT(pixels_.size() == labels_.size() * static_cast<std::size_t>(size.width) *
                                     static_cast<std::size_t>(size.height) *
                                     static_cast<std::size_t>(channels));
}

ImageView RawSource::pixels_of(std::int64_t index) const {
  const std::ptrdiff_t row = static_cast<std::ptrdiff_t>(image_size_.width) * channels_;
  return {pixels_.data() + index * image_size_.height * row, image_size_.width, image_size_.height,
          channels_, row};
}

void RawSource::open(std::int64_t index, OpenedImage& opened) const {
  opened.bytes.clear();
  opened.array.reset();
  opened.size = image_size_;
  opened.raw = pixels_of(index);
}

std::int64_t RawSource::content_mark(std::int64_t index) const {
  const ImageView pixels = pixels_of(index);
  Hash64 hash;
  hash.add(std::span(pixels.data, static_cast<std::size_t>(pixels.stride * pixels.height)));
  return static_cast<std::int64_t>(hash.value());
}

}  // namespace sgmae
