// Internal to data/: looking around in folders, numbering classes, and the source whose images are
// files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sgmae/data/source.h"

namespace sgmae {

bool is_folder(const std::filesystem::path& path);
bool is_file(const std::filesystem::path& path);

// jpg, jpeg, png or webp in any case.
bool has_image_extension(std::string_view name);

struct FolderEntry {
  std::string name;
  bool is_folder = false;
};

// What lies in a folder, sorted by name, without hidden entries. A folder that cannot be read is
// named in the log and counts as empty.
std::vector<FolderEntry> list_folder(const std::filesystem::path& folder);

// Names that a split goes by, best first. Throws Error(usage) for what is no split.
std::vector<std::string> names_of_split(const std::string& split);

// A number from 0 in decimal digits and nothing else.
std::optional<std::int64_t> as_number(std::string_view text);

// How far the folders of all images' names agree: the length of "common/folder/".
std::size_t common_folder(const Source& source);

// The label of each image, and the names of the classes that the labels count.
struct Labels {
  std::vector<std::int64_t> labels;
  std::vector<std::string> class_names;
};

// Classes numbered in the sorted order of their names; an empty word is no label (-1).
Labels number_by_name(const std::vector<std::string>& words);

// Words that are all numbers are labels as they stand; else as number_by_name(). `where` names the
// file in the Error(data) for a number beyond a million.
Labels number_by_word(const std::vector<std::string>& words, const std::string& where);

// Image files; paths are relative to `root`.
class FileSource : public Source {
 public:
  FileSource(std::filesystem::path root, std::vector<std::string> paths, Labels labels);

  std::int64_t size() const override { return static_cast<std::int64_t>(paths_.size()); }
  std::string name(std::int64_t index) const override;
  int native_channels() const override { return 3; }
  void open(std::int64_t index, OpenedImage& opened) const override;

 protected:
  std::int64_t content_mark(std::int64_t index) const override;

 private:
  std::filesystem::path root_;
  std::vector<std::string> paths_;
};

// Images of one size that lie undecoded in memory, interleaved: [images, height, width, channels].
class RawSource : public Source {
 public:
  // `name` begins each image's name; `pixels` holds a whole number of images.
  RawSource(std::string name, std::vector<std::uint8_t> pixels, ImageSize size, int channels,
            Labels labels);

  std::int64_t size() const override { return static_cast<std::int64_t>(labels_.size()); }
  std::string name(std::int64_t index) const override { return str(name_, "#", index); }
  int native_channels() const override { return channels_; }
  void open(std::int64_t index, OpenedImage& opened) const override;

 protected:
  std::int64_t content_mark(std::int64_t index) const override;

 private:
  ImageView pixels_of(std::int64_t index) const;

  std::string name_;
  std::vector<std::uint8_t> pixels_;
  ImageSize image_size_;
  int channels_;
};

}  // namespace sgmae
