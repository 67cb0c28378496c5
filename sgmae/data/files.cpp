#include "sgmae/data/files.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <map>
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

bool has_image_extension(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || name.size() - dot > 5) return false;
  std::string extension(name.substr(dot + 1));
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return extension == "jpg" || extension == "jpeg" || extension == "png" || extension == "webp";
}

std::vector<FolderEntry> list_folder(const fs::path& folder) {
  std::vector<FolderEntry> entries;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::string name = it->path().filename().string();
    // The kind comes with the listing; only a link costs a question of its own.
    std::error_code ignored;
    if (name.front() != '.') entries.push_back({std::move(name), it->is_directory(ignored)});
  }
  if (error)
    warn("cannot read folder ", folder.string(), ": ", error.message(), "; it is left out");
  std::sort(entries.begin(), entries.end(),
            [](const FolderEntry& a, const FolderEntry& b) { return a.name < b.name; });
  return entries;
}

std::vector<std::string> names_of_split(const std::string& split) {
  if (split == "train") return {"train"};
  if (split == "val") return {"val", "valid", "validation", "test"};
  if (split == "test") return {"test", "val", "valid", "validation"};
  fail(ExitCode::usage, "there is no data split '", split, "'; use train, val or test");
}

std::optional<std::int64_t> as_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
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

Labels number_by_name(const std::vector<std::string>& words) {
  std::map<std::string_view, std::int64_t> ids;
  for (const std::string& word : words)
    if (!word.empty()) ids.emplace(word, 0);
  Labels result;
  for (auto& [word, id] : ids) {
    id = static_cast<std::int64_t>(result.class_names.size());
    result.class_names.emplace_back(word);
  }
  result.labels.reserve(words.size());
  for (const std::string& word : words) result.labels.push_back(word.empty() ? -1 : ids.at(word));
  return result;
}

Labels number_by_word(const std::vector<std::string>& words, const std::string& where) {
  constexpr std::int64_t most_classes = 1'000'000;
  Labels result;
  std::int64_t classes = 0;
  for (const std::string& word : words) {
    const std::optional<std::int64_t> number =
        word.empty() ? std::optional<std::int64_t>(-1) : as_number(word);
    if (!number) return number_by_name(words);
    check(*number < most_classes, ExitCode::data, "label ", *number, " in ", where,
          " is too large; number classes from 0");
    result.labels.push_back(*number);
    classes = std::max(classes, *number + 1);
  }
  for (std::int64_t i = 0; i < classes; ++i) result.class_names.push_back(std::to_string(i));
  return result;
}

FileSource::FileSource(fs::path root, std::vector<std::string> paths, Labels labels)
    : root_(std::move(root)), paths_(std::move(paths)) {
  SGMAE_ASSERT(labels.labels.size() == paths_.size());
  labels_ = std::move(labels.labels);
  class_names_ = std::move(labels.class_names);
}

std::string FileSource::name(std::int64_t index) const {
  return (root_ / paths_[static_cast<std::size_t>(index)]).string();
}

void FileSource::open(std::int64_t index, OpenedImage& opened) const {
  opened.raw = {};
  opened.bytes =
      read_file(root_ / paths_[static_cast<std::size_t>(index)], ExitCode::data, max_image_bytes);
  opened.info = read_image_info(opened.bytes);
  opened.size = opened.info.size;
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
