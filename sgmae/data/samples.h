// Internal to data/: which files of an archive make up a sample, and which of them is the image.
//
// Keys are WebDataset's: the path up to the first dot of the file's name; what follows is the
// field, in lower case. `a/1.depth.png` is the field `depth.png` of sample `a/1`.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "sgmae/data/source.h"
#include "sgmae/data/tar.h"

namespace sgmae {

struct Sample {
  std::string name;  // of the image, in the archive
  // What files of the sample say of its class, as written; "" where none says anything.
  std::string label;
  // The inner archive's name, or the folder that the image lies in.
  std::string place;
  std::uint64_t offset = 0, size = 0;

  bool operator==(const Sample&) const = default;
};

// Takes an archive's entries in order and gives its samples.
class SampleCollector {
 public:
  using ReadText = std::function<std::string(const TarEntry&)>;

  SampleCollector(const DataFormat& format, ReadText read_text);

  // `inside`: "NAME.tar/" for what lies in an inner archive.
  void add(const TarEntry& entry, const std::string& inside = "");

  // The samples in the order in which their images lie. Throws Error(data) where two files of a
  // sample have the same claim to be its image or its label: it names them.
  std::vector<Sample> finish(std::vector<LeftOut>& left_out);

 private:
  struct File {
    std::string name, field;
    std::uint64_t offset = 0, size = 0;
    std::int64_t position = 0;  // among the archive's entries
    bool is_label = false, understood = true;
    std::string label;
  };
  struct Draft {
    std::string inside;
    std::vector<File> files;  // images, also of types not read, and labels
    bool others = false;      // there are files of other kinds
  };

  Draft& draft_for(const std::string& key, const std::string& field, const std::string& inside);
  void read_label(const TarEntry& entry, File& file);
  std::vector<const File*> images_of(const Draft& draft, std::vector<LeftOut>& left_out) const;
  std::string label_of(const Draft& draft, const File& image) const;

  std::vector<std::string> image_keys_, label_keys_;
  ReadText read_text_;
  std::vector<LeftOut> left_out_;
  std::vector<Draft> drafts_;
  std::unordered_map<std::string, std::size_t> latest_;  // draft of a key
  std::string last_key_;
  std::int64_t position_ = 0;
};

// Key and field of a file's name.
std::pair<std::string, std::string> split_key(const std::string& name);

// "a;b" as {"a", "b"}.
std::vector<std::string> alternatives(const std::string& keys);

}  // namespace sgmae
