// CIFAR-10 and CIFAR-100 as their authors publish them.
#include "sgmae/data/cifar.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/data/file_type.h"
#include "sgmae/data/files.h"
#include "sgmae/data/formats.h"
#include "sgmae/data/gz.h"
#include "sgmae/data/tar.h"
#include "sgmae/io/pickle.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

using Bytes = std::vector<std::uint8_t>;

// Files by name, out of a folder or a .tar.gz.
class Files {
 public:
  explicit Files(const fs::path& place) : place_(place) {
    if (is_folder(place)) return;
    // The archives hold 160 MiB; one of gigabytes is something else.
    constexpr std::size_t most = std::size_t{1} << 28, step = std::size_t{1} << 20;
    GzFile file(place);
    for (std::size_t count = step; count == step;) {
      const std::size_t done = archive_.size();
      check(
          done < most, ExitCode::data, place.string(),
          " unpacks to more than 256 MiB, so it is not a CIFAR archive; unpack it with gunzip and "
          "give the .tar");
      archive_.resize(done + step);
      count = file.read(std::span(archive_).subspan(done));
      archive_.resize(done + count);
    }
    const auto read = [&](std::uint64_t offset, std::span<std::uint8_t> out) {
      std::copy_n(archive_.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
    };
    try {
      read_tar(read, 0, archive_.size(), [&](const TarEntry& entry) {
        if (entry.kind == TarEntry::Kind::file)
          entries_[fs::path(entry.name).filename().string()] = entry;
      });
    } catch (const Error& error) {
      fail(error.code(), place.string(), ": ", error.what(), "; an incomplete download?");
    }
  }

  bool contains(const std::string& name) const {
    return archive_.empty() ? is_file(place_ / name) : entries_.contains(name);
  }
  std::string path(const std::string& name) const { return (place_ / name).string(); }
  Bytes read(const std::string& name) const {
    if (archive_.empty()) return read_file(place_ / name, ExitCode::data);
    const auto found = entries_.find(name);
    check(found != entries_.end(), ExitCode::data, place_.string(), " lacks ", name,
          "; an incomplete download?");
    const auto begin = archive_.begin() + static_cast<std::ptrdiff_t>(found->second.offset);
    return {begin, begin + static_cast<std::ptrdiff_t>(found->second.size)};
  }

 private:
  fs::path place_;
  Bytes archive_;  // unpacked; empty for a folder
  std::map<std::string, TarEntry> entries_;
};

std::vector<std::string> lines_of(const Bytes& text) {
  std::vector<std::string> lines;
  for (auto at = text.begin(); at != text.end();) {
    const auto end = std::find(at, text.end(), '\n');
    std::string line(at, end);
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (!line.empty()) lines.push_back(std::move(line));
    at = end == text.end() ? end : end + 1;
  }
  return lines;
}

// The batches of a split; CIFAR-10 has its training images in five.
std::vector<std::string> batches(bool ten, bool train, const char* ending) {
  if (!ten) return {std::string(train ? "train" : "test") + ending};
  if (!train) return {std::string("test_batch") + ending};
  std::vector<std::string> names;
  for (int i = 1; i <= 5; ++i) names.push_back(str("data_batch_", i, ending));
  return names;
}

// Which of the four forms lies in a place.
struct Kind {
  bool ten = false;     // CIFAR-10, else CIFAR-100
  bool python = false;  // pickles, else records
};

std::optional<Kind> kind_of(const Files& files) {
  if (files.contains("data_batch_1.bin")) return Kind{.ten = true, .python = false};
  if (files.contains("train.bin") && files.contains("fine_label_names.txt"))
    return Kind{.ten = false, .python = false};
  if (files.contains("data_batch_1") && files.contains("batches.meta"))
    return Kind{.ten = true, .python = true};
  if (files.contains("train") && files.contains("meta") && files.contains("test"))
    return Kind{.ten = false, .python = true};
  return std::nullopt;
}

// A pickled dictionary and what it holds under some key.
struct Dictionary {
  std::string where;
  Pickle pickle;

  Dictionary(const Bytes& bytes, const std::string& path)
      : where(path), pickle(read_pickle(bytes, path, ExitCode::data)) {}

  template <class T>
  const T& get(const char* key) const {
    const auto* dict = pickle.root->as<PickleDict>();
    const PickleValue* value = dict ? dict->find(key) : nullptr;
    const T* found = value ? value->as<T>() : nullptr;
    check(found != nullptr, ExitCode::data, where, " is not a CIFAR file: it has no '", key,
          "' of the right type");
    return *found;
  }
};

// A batch as Python wrote it: "data" [images, 3072] and a list of labels.
void add_pickled(const Bytes& bytes, const std::string& where, bool ten, CifarImages& images) {
  const Dictionary batch(bytes, where);
  const auto& data = batch.get<PickleArray>("data");
  const auto& labels = batch.get<PickleSequence>(ten ? "labels" : "fine_labels").items;
  const std::vector<std::int64_t> shape = pickle_integers(*data.shape);
  const std::string& planes = data.bytes->data;
  check(data.type == "|u1" && !data.column_major && shape.size() == 2 &&
            shape[0] == static_cast<std::int64_t>(labels.size()) &&
            shape[1] == static_cast<std::int64_t>(cifar_values) &&
            planes.size() == labels.size() * cifar_values,
        ExitCode::data, where, " is damaged: its images do not match its ", labels.size(),
        " labels");
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto* label = labels[i]->as<std::int64_t>();
    check(label != nullptr, ExitCode::data, where, ": label ", i, " is not a number");
    const auto* first = reinterpret_cast<const std::uint8_t*>(planes.data()) + i * cifar_values;
    add_cifar_image({first, cifar_values}, *label, images);
  }
}

std::vector<std::string> pickled_names(const Bytes& bytes, const std::string& where, bool ten) {
  const Dictionary meta(bytes, where);
  std::vector<std::string> names;
  for (const PickleValue* item :
       meta.get<PickleSequence>(ten ? "label_names" : "fine_label_names").items) {
    const auto* text = item->as<std::string>();
    const auto* old_text = item->as<PickleBytes>();  // written by Python 2
    check(text || old_text, ExitCode::data, where, ": a class name is not a string");
    names.push_back(text ? *text : old_text->data);
  }
  return names;
}

}  // namespace

void add_cifar_image(std::span<const std::uint8_t> planes, std::int64_t label,
                     CifarImages& images) {
  SGMAE_ASSERT(planes.size() == cifar_values);
  constexpr std::size_t plane = cifar_side * cifar_side;
  for (std::size_t i = 0; i < plane; ++i)
    for (std::size_t c = 0; c < 3; ++c) images.pixels.push_back(planes[c * plane + i]);
  images.labels.push_back(label);
}

void add_cifar_records(std::span<const std::uint8_t> bytes, std::size_t label_bytes,
                       const std::string& where, CifarImages& images) {
  const std::size_t record = label_bytes + cifar_values;
  check(!bytes.empty() && bytes.size() % record == 0, ExitCode::data, where,
        " is truncated or damaged: ", bytes.size(), " bytes are not a whole number of records of ",
        record, "; an incomplete download?");
  for (; !bytes.empty(); bytes = bytes.subspan(record))
    add_cifar_image(bytes.subspan(label_bytes, cifar_values), bytes[label_bytes - 1], images);
}

bool is_cifar_archive(const fs::path& path) {
  const std::string name = lower_case(path.filename().string());
  if (!name.ends_with(".tar.gz") && !name.ends_with(".tgz")) return false;
  if (name.find("cifar") != std::string::npos) return true;
  // Under another name: all of them keep their files in a folder cifar-10… or cifar-100….
  std::array<std::uint8_t, 100> first{};
  GzFile file(path);
  file.read(first);
  return std::string_view(reinterpret_cast<const char*>(first.data()), first.size())
             .find("cifar-10") != std::string_view::npos;
}

std::optional<fs::path> find_cifar(const fs::path& folder) {
  for (const char* name :
       {"", "cifar-10-batches-bin", "cifar-100-binary", "cifar-10-batches-py", "cifar-100-python"})
    if (is_folder(folder / name) && kind_of(Files(folder / name))) return folder / name;
  for (const char* name : {"cifar-10-binary.tar.gz", "cifar-100-binary.tar.gz",
                           "cifar-10-python.tar.gz", "cifar-100-python.tar.gz"})
    if (is_file(folder / name)) return folder / name;
  return std::nullopt;
}

std::unique_ptr<Source> open_cifar(const fs::path& place, const std::string& split) {
  const Files files(place);
  const std::optional<Kind> kind = kind_of(files);
  check(kind.has_value(), ExitCode::data, place.string(),
        " has none of the files of CIFAR-10 or CIFAR-100");
  const auto [ten, python] = *kind;
  CifarImages images;
  for (const std::string& name : batches(ten, split == "train", python ? "" : ".bin")) {
    if (python)
      add_pickled(files.read(name), files.path(name), ten, images);
    else
      add_cifar_records(files.read(name), ten ? 1 : 2, files.path(name), images);
  }
  const std::string names_file = python ? (ten ? "batches.meta" : "meta")
                                        : (ten ? "batches.meta.txt" : "fine_label_names.txt");
  Labels labels;
  labels.class_names = python ? pickled_names(files.read(names_file), files.path(names_file), ten)
                              : lines_of(files.read(names_file));
  labels.labels = std::move(images.labels);
  const auto classes = static_cast<std::int64_t>(labels.class_names.size());
  for (const std::int64_t label : labels.labels)
    check(label >= 0 && label < classes, ExitCode::data, place.string(), " has a label ", label,
          ", but ", names_file, " names ", classes, " classes");
  return std::make_unique<RawSource>(place.string() + "/" + split, std::move(images.pixels),
                                     ImageSize{cifar_side, cifar_side}, 3, std::move(labels));
}

}  // namespace sgmae
