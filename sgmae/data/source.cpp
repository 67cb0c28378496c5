#include "sgmae/data/source.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/base/log.h"
#include "sgmae/image/codecs.h"

namespace sgmae {
namespace {

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

// Names in a folder, sorted, without hidden ones.
std::vector<std::string> list_folder(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::string name = it->path().filename().string();
    if (name.front() != '.') names.push_back(std::move(name));
  }
  if (error)
    warn("cannot read folder ", folder.string(), ": ", error.message(), "; it is left out");
  std::sort(names.begin(), names.end());
  return names;
}

// Names that may hold a split, best first.
std::vector<std::string> names_of(const std::string& split) {
  if (split == "train") return {"train"};
  if (split == "val") return {"val", "valid", "validation", "test"};
  if (split == "test") return {"test", "val", "valid", "validation"};
  fail(ExitCode::usage, "there is no data split '", split, "'; use train, val or test");
}

// Image files with one folder as root.
class FileSource : public Source {
 public:
  explicit FileSource(fs::path root) : root_(std::move(root)) {}

  std::int64_t size() const override { return static_cast<std::int64_t>(paths_.size()); }
  std::string name(std::int64_t index) const override {
    return (root_ / paths_[static_cast<std::size_t>(index)]).string();
  }
  int native_channels() const override { return 3; }
  void open(std::int64_t index, OpenedImage& opened) const override {
    opened.raw = {};
    opened.bytes = read_file(root_ / paths_[static_cast<std::size_t>(index)], ExitCode::data);
    opened.info = read_image_info(opened.bytes);
    opened.size = opened.info.size;
  }

  const fs::path& root() const { return root_; }

  // `class_name` empty: unlabelled. Ids are given by number_classes().
  void add(std::string path, const std::string& class_name) {
    paths_.push_back(std::move(path));
    const std::int64_t next = static_cast<std::int64_t>(provisional_.size());
    labels_.push_back(class_name.empty() ? -1
                                         : provisional_.emplace(class_name, next).first->second);
  }
  void add(std::string path, std::int64_t label) {
    paths_.push_back(std::move(path));
    labels_.push_back(label);
  }

  // Class ids in the sorted order of names.
  void number_classes() {
    std::vector<std::int64_t> final_id(provisional_.size());
    for (const auto& [class_name, id] : provisional_) {
      final_id[static_cast<std::size_t>(id)] = static_cast<std::int64_t>(class_names_.size());
      class_names_.push_back(class_name);
    }
    for (std::int64_t& label : labels_)
      if (label >= 0) label = final_id[static_cast<std::size_t>(label)];
    provisional_.clear();
  }
  void name_classes(std::vector<std::string> names) { class_names_ = std::move(names); }

 private:
  fs::path root_;
  std::vector<std::string> paths_;
  std::map<std::string, std::int64_t> provisional_;
};

// Adds the images below root/folder. Each real folder is visited once, so links cannot loop.
void add_images(FileSource& source, const fs::path& folder, const std::string& class_name,
                std::set<fs::path>& visited) {
  std::error_code error;
  const fs::path real = fs::canonical(source.root() / folder, error);
  if (error || !visited.insert(real).second) return;
  const bool at_top = folder.empty();
  for (const std::string& name : list_folder(source.root() / folder)) {
    const fs::path path = folder / name;
    // An extension spares asking the file system about each of a million files.
    if (has_image_extension(name) && !is_folder(source.root() / path))
      source.add(path.string(), class_name);
    else if (is_folder(source.root() / path))
      add_images(source, path, at_top ? name : class_name, visited);
  }
}

std::unique_ptr<Source> open_folder(const fs::path& folder) {
  auto source = std::make_unique<FileSource>(folder);
  std::set<fs::path> visited;
  add_images(*source, {}, "", visited);
  check(source->size() > 0, ExitCode::data, "no image in ", folder.string(),
        " or below it; expected .jpg, .jpeg, .png or .webp files, for example ", folder.string(),
        "/CLASS/NAME.jpg");
  source->number_classes();
  return source;
}

std::optional<std::int64_t> as_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

struct ListEntry {
  std::string path, label;
};

std::vector<ListEntry> read_list(const fs::path& list) {
  constexpr const char* blanks = " \t\r";
  const std::string text = read_text(list, ExitCode::data);
  check(text.find('\0') == std::string::npos, ExitCode::data, list.string(),
        " is neither a list of images nor an IDX file; give a folder, a text file with one image "
        "path a line, or an IDX file");
  std::vector<ListEntry> entries;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line(text.data() + begin, end - begin);
    begin = end + 1;
    const std::size_t last = line.find_last_not_of(blanks);
    if (last == std::string_view::npos) continue;
    line = line.substr(line.find_first_not_of(blanks), std::string_view::npos);
    line = line.substr(0, line.find_last_not_of(blanks) + 1);
    ListEntry entry{std::string(line), ""};
    // A path may hold blanks, so only what follows an image's extension is a label.
    const std::size_t blank = line.find_last_of(blanks);
    if (!has_image_extension(line) && blank != std::string_view::npos) {
      entry.label = line.substr(blank + 1);
      line = line.substr(0, blank);
      entry.path = line.substr(0, line.find_last_not_of(blanks) + 1);
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

fs::path root_of_list(const fs::path& list, const std::string& first,
                      const std::string& data_root) {
  if (!data_root.empty()) return data_root;
  const fs::path folder = list.parent_path();
  for (const fs::path& root : {folder, folder / "images"})
    if (is_file(root / first)) return root;
  fail(ExitCode::data, "the first image of ", list.string(), ", ", first, ", is not in ",
       folder.empty() ? "." : folder.string(),
       " or its images/; say with --data_root where its "
       "paths begin");
}

std::unique_ptr<Source> open_list(const fs::path& list, const std::string& data_root) {
  const std::vector<ListEntry> entries = read_list(list);
  check(!entries.empty(), ExitCode::data, list.string(),
        " lists no image; expected one path a line");
  auto source = std::make_unique<FileSource>(root_of_list(list, entries.front().path, data_root));
  const auto labelled = [](const ListEntry& entry) { return !entry.label.empty(); };
  const auto numbered = [&](const ListEntry& entry) {
    return !labelled(entry) || as_number(entry.label).has_value();
  };
  const bool any_label = std::any_of(entries.begin(), entries.end(), labelled);
  if (!any_label) {
    for (const ListEntry& entry : entries)
      source->add(entry.path, fs::path(entry.path).parent_path().filename().string());
    source->number_classes();
  } else if (std::all_of(entries.begin(), entries.end(), numbered)) {
    constexpr std::int64_t most_classes = 1'000'000;
    std::int64_t classes = 0;
    for (const ListEntry& entry : entries) {
      const std::int64_t label = labelled(entry) ? *as_number(entry.label) : -1;
      check(label < most_classes, ExitCode::data, "label ", label, " of ", entry.path, " in ",
            list.string(), " is too large; number classes from 0");
      source->add(entry.path, label);
      classes = std::max(classes, label + 1);
    }
    std::vector<std::string> names;
    for (std::int64_t i = 0; i < classes; ++i) names.push_back(std::to_string(i));
    source->name_classes(std::move(names));
  } else {
    for (const ListEntry& entry : entries) source->add(entry.path, entry.label);
    source->number_classes();
  }
  return source;
}

// An IDX file: four bytes 0, 0, type, number of dimensions; the dimensions as big-endian 32-bit
// numbers; the values.
struct Idx {
  std::vector<std::int64_t> shape;
  std::vector<std::uint8_t> values;
};

struct GzFile {
  gzFile file;
  explicit GzFile(const fs::path& path) : file(gzopen(path.c_str(), "rb")) {
    check(file != nullptr, ExitCode::data, "cannot read ", path.string());
    gzbuffer(file, 1 << 17);
  }
  ~GzFile() { gzclose(file); }
  GzFile(const GzFile&) = delete;
  GzFile& operator=(const GzFile&) = delete;

  bool read(std::uint8_t* out, std::size_t bytes) {
    while (bytes > 0) {
      const int count =
          gzread(file, out, static_cast<unsigned>(std::min<std::size_t>(bytes, 1 << 30)));
      if (count <= 0) return false;
      out += count;
      bytes -= static_cast<std::size_t>(count);
    }
    return true;
  }
};

constexpr std::uint8_t idx_bytes = 0x08;  // type: unsigned bytes

bool is_idx(const fs::path& path) {
  GzFile file(path);
  std::array<std::uint8_t, 4> magic{};
  return file.read(magic.data(), magic.size()) && magic[0] == 0 && magic[1] == 0 &&
         magic[2] == idx_bytes && magic[3] >= 1 && magic[3] <= 4;
}

Idx read_idx(const fs::path& path, std::size_t dimensions) {
  GzFile file(path);
  std::array<std::uint8_t, 4> word{};
  check(file.read(word.data(), 4) && word[0] == 0 && word[1] == 0 && word[2] == idx_bytes &&
            word[3] == dimensions,
        ExitCode::data, path.string(), " is not an IDX file of bytes with ", dimensions,
        " dimension(s)");
  Idx idx;
  std::int64_t count = 1;
  for (std::size_t d = 0; d < dimensions; ++d) {
    check(file.read(word.data(), 4), ExitCode::data, path.string(), " ends in its header");
    const std::int64_t length =
        static_cast<std::int64_t>(word[0]) << 24 | word[1] << 16 | word[2] << 8 | word[3];
    constexpr std::int64_t most = std::int64_t{1} << 36;  // 64 GiB
    check(length >= 1 && length <= most / count, ExitCode::data, path.string(),
          " has a dimension of ", length, " in its header; it is damaged");
    idx.shape.push_back(length);
    count *= length;
  }
  // In steps, so that a false header cannot claim memory that the file does not fill.
  constexpr std::int64_t step = 1 << 26;
  for (std::int64_t done = 0; done < count;) {
    const std::int64_t part = std::min(step, count - done);
    idx.values.resize(static_cast<std::size_t>(done + part));
    check(file.read(idx.values.data() + done, static_cast<std::size_t>(part)), ExitCode::data,
          path.string(), " is truncated or damaged: its header promises ", count,
          " bytes; fetch it again");
    done += part;
  }
  return idx;
}

class IdxSource : public Source {
 public:
  IdxSource(const fs::path& images, const fs::path& labels)
      : name_(images.string()), idx_(read_idx(images, 3)) {
    constexpr std::int64_t largest_side = 65'535;
    check(idx_.shape[1] <= largest_side && idx_.shape[2] <= largest_side, ExitCode::data, name_,
          " claims images of ", idx_.shape[2], "x", idx_.shape[1], "; it is damaged");
    if (labels.empty()) {
      labels_.assign(static_cast<std::size_t>(size()), -1);
      return;
    }
    const Idx ids = read_idx(labels, 1);
    check(ids.shape[0] == size(), ExitCode::data, labels.string(), " has ", ids.shape[0],
          " labels for the ", size(), " images of ", name_);
    labels_.assign(ids.values.begin(), ids.values.end());
    const std::int64_t classes = *std::max_element(labels_.begin(), labels_.end()) + 1;
    for (std::int64_t i = 0; i < classes; ++i) class_names_.push_back(std::to_string(i));
  }

  std::int64_t size() const override { return idx_.shape[0]; }
  std::string name(std::int64_t index) const override { return str(name_, "#", index); }
  int native_channels() const override { return 1; }
  void open(std::int64_t index, OpenedImage& opened) const override {
    const int height = static_cast<int>(idx_.shape[1]), width = static_cast<int>(idx_.shape[2]);
    opened.size = {width, height};
    opened.raw = {idx_.values.data() + index * height * width, width, height, 1, width};
  }

 private:
  std::string name_;
  Idx idx_;
};

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  if (at != std::string::npos) text.replace(at, from.size(), to);
  return text;
}

std::unique_ptr<Source> open_idx(const fs::path& images) {
  const std::string name = images.filename().string();
  const std::string label_name = replaced(replaced(name, "images", "labels"), "idx3", "idx1");
  if (label_name != name) {
    const std::string plain = replaced(label_name, ".gz", "");
    for (const std::string& candidate : {label_name, plain, plain + ".gz"})
      if (is_file(images.parent_path() / candidate))
        return std::make_unique<IdxSource>(images, images.parent_path() / candidate);
  }
  return std::make_unique<IdxSource>(images, fs::path());
}

// The image file of an IDX pair in `folder`, or nothing.
std::optional<fs::path> find_idx(const fs::path& folder, const std::string& split) {
  const std::vector<std::string> prefixes = split == "train"
                                                ? std::vector<std::string>{"train"}
                                                : std::vector<std::string>{"t10k", "test"};
  for (const std::string& name : list_folder(folder))
    for (const std::string& prefix : prefixes)
      if (name.starts_with(prefix) && name.find("images") != std::string::npos &&
          name.find("idx3") != std::string::npos)
        return folder / name;
  return std::nullopt;
}

bool holds_image(const fs::path& folder) {
  for (const std::string& name : list_folder(folder))
    if (has_image_extension(name)) return true;
  return false;
}

// Whether a sub-folder called train or val is a part of the data set and not a class of that name:
// then no other sub-folder holds images.
bool has_split_folders(const fs::path& folder) {
  const std::set<std::string> splits = {"train", "val", "valid", "validation", "test"};
  for (const std::string& name : list_folder(folder))
    if (!splits.contains(name) && is_folder(folder / name) && holds_image(folder / name))
      return false;
  return true;
}

}  // namespace

ImageView decode(const OpenedImage& opened, const CropBox& region, int channels, Image& buffer) {
  if (opened.raw.data == nullptr) {
    decode_image(opened.bytes, opened.info, region, channels, buffer);
    return view(buffer);
  }
  const ImageView part = crop(opened.raw, region);
  if (part.channels == channels) return part;
  reshape(buffer, {part.width, part.height}, channels);
  const ImageView result = view(buffer);
  for (int y = 0; y < part.height; ++y)
    convert_pixels(part.row(y), part.channels, buffer.pixels.data() + y * result.stride, channels,
                   part.width);
  return result;
}

void Source::use_classes_of(const Source& training) {
  std::map<std::string, std::int64_t> ids;
  for (std::size_t i = 0; i < training.class_names_.size(); ++i)
    ids.emplace(training.class_names_[i], static_cast<std::int64_t>(i));
  std::vector<std::int64_t> new_id;
  for (const std::string& class_name : class_names_) {
    const auto found = ids.find(class_name);
    check(found != ids.end(), ExitCode::data, "the evaluation images have a class '", class_name,
          "' that the training images lack");
    new_id.push_back(found->second);
  }
  for (std::int64_t& label : labels_)
    if (label >= 0) label = new_id[static_cast<std::size_t>(label)];
  class_names_ = training.class_names_;
}

std::unique_ptr<Source> open_source(const std::string& data_path, const std::string& split,
                                    const std::string& data_root) {
  const std::vector<std::string> names = names_of(split);
  const fs::path path = data_path;
  check(!data_path.empty(), ExitCode::usage, "no data set given; use --data_path FOLDER");
  std::error_code ignored;
  check(fs::exists(path, ignored), ExitCode::data, "there is no ", data_path,
        "; give an existing folder of images, list file or IDX file with --data_path");

  const bool train = split == "train";
  if (!is_folder(path)) {
    check(!has_image_extension(data_path), ExitCode::data, data_path,
          " is a single image; give the folder that holds the images");
    const bool idx = is_idx(path);
    if (train) return idx ? open_idx(path) : open_list(path, data_root);
    if (idx) {
      if (const auto images = find_idx(path.parent_path(), split)) return open_idx(*images);
    } else {
      for (const std::string& name : names) {
        const fs::path list = path.parent_path() / (name + ".txt");
        if (is_file(list) && list != path) return open_list(list, data_root);
      }
    }
    fail(ExitCode::data, "beside ", data_path, " lies no data for '", split, "'; expected ",
         idx ? "t10k-images-idx3-ubyte(.gz)" : split + ".txt");
  }

  if (has_split_folders(path))
    for (const std::string& name : names)
      if (is_folder(path / name)) return open_folder(path / name);
  for (const std::string& name : names)
    if (is_file(path / (name + ".txt"))) return open_list(path / (name + ".txt"), data_root);
  if (const auto images = find_idx(path, split)) return open_idx(*images);
  check(train, ExitCode::data, data_path, " has no part for '", split, "'; expected a folder ",
        data_path, "/", split, ", a list ", split, ".txt or t10k-images-idx3-ubyte(.gz) in it");
  return open_folder(path);
}

}  // namespace sgmae
