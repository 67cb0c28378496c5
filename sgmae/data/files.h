// Internal to data/: looking around in folders, and the sources whose images are files or lie in
// memory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "sgmae/data/labels.h"
#include "sgmae/data/source.h"

namespace sgmae {

bool is_folder(const std::filesystem::path& path);
bool is_file(const std::filesystem::path& path);

// The path with its last folder `own` called `sister` and another ending, as labels/a.txt belongs
// to images/a.jpg; empty where it has no such folder.
std::filesystem::path in_sister_folder(const std::filesystem::path& image, const char* own,
                                       const char* sister, const char* extension);

// The upright size of an image file; 0 where it cannot be read.
ImageSize upright_size_of(const std::filesystem::path& path);

struct FolderEntry {
  std::string name;
  bool is_folder = false;
};

// What lies in a folder, sorted by name; hidden entries apart. A folder that cannot be read is
// named in the log and counts as empty.
struct Listing {
  std::vector<FolderEntry> entries;
  std::vector<std::string> hidden;
  bool read = true;
};
Listing look_into(const std::filesystem::path& folder);
std::vector<FolderEntry> list_folder(const std::filesystem::path& folder);  // the entries alone

// The files below a folder for which `keep` is true, as paths from there, each folder's in order.
// Of sub-folders those are looked into for which `enter` is true.
std::vector<std::string> files_below(const std::filesystem::path& folder,
                                     const std::function<bool(const std::string&)>& keep,
                                     const std::function<bool(const std::string&)>& enter);
inline constexpr int deepest_folder = 16;  // links may lead in circles

// Image files; paths are relative to `root`.
class FileSource : public Source {
 public:
  FileSource(std::filesystem::path root, std::vector<std::string> paths, Labels labels,
             std::vector<LeftOut> left_out = {});

  std::int64_t size() const override { return static_cast<std::int64_t>(paths_.size()); }
  std::string name(std::int64_t index) const override;
  void open(std::int64_t index, OpenedImage& opened) const override;

 protected:
  int colour_channels() const override { return 3; }
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
  void open(std::int64_t index, OpenedImage& opened) const override;

 protected:
  int colour_channels() const override { return channels_; }
  std::int64_t content_mark(std::int64_t index) const override;

 private:
  ImageView pixels_of(std::int64_t index) const;

  std::string name_;
  std::vector<std::uint8_t> pixels_;
  ImageSize image_size_;
  int channels_;
};

}  // namespace sgmae
