// CIFAR-10 and CIFAR-100 as their authors publish them.
#include "sgmae/data/cifar.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/data/files.h"
#include "sgmae/data/formats.h"
#include "sgmae/data/gz.h"
#include "sgmae/data/tar.h"

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
    constexpr std::size_t most = std::size_t{1} << 30, step = std::size_t{1} << 24;
    GzFile file(place);
    for (std::size_t count = step; count == step;) {
      const std::size_t done = archive_.size();
      check(done < most, ExitCode::data, place.string(),
            " unpacks to more than 1 GiB; it is no CIFAR archive, unpack it first");
      archive_.resize(done + step);
      count = file.read(std::span(archive_).subspan(done));
      archive_.resize(done + count);
    }
    const auto read = [&](std::uint64_t offset, std::span<std::uint8_t> out) {
      std::copy_n(archive_.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
    };
    try {
      read_tar(read, 0, archive_.size(), [&](const TarEntry& entry) {
        entries_[fs::path(entry.name).filename().string()] = entry;
      });
    } catch (const Error& error) {
      fail(error.code(), place.string(), ": ", error.what(), "; fetch it again");
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
          "; fetch it again");
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

bool is_cifar(const Files& files) {
  return files.contains("data_batch_1.bin") ||
         (files.contains("train.bin") && files.contains("fine_label_names.txt"));
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
        " is truncated or damaged: ", bytes.size(), " bytes are no whole number of records of ",
        record, "; fetch it again");
  for (; !bytes.empty(); bytes = bytes.subspan(record))
    add_cifar_image(bytes.subspan(label_bytes, cifar_values), bytes[label_bytes - 1], images);
}

std::optional<fs::path> find_cifar(const fs::path& folder) {
  for (const char* name :
       {"", "cifar-10-batches-bin", "cifar-100-binary", "cifar-10-batches-py", "cifar-100-python"})
    if (is_folder(folder / name) && is_cifar(Files(folder / name))) return folder / name;
  for (const char* name : {"cifar-10-binary.tar.gz", "cifar-100-binary.tar.gz",
                           "cifar-10-python.tar.gz", "cifar-100-python.tar.gz"})
    if (is_file(folder / name)) return folder / name;
  return std::nullopt;
}

std::unique_ptr<Source> open_cifar(const fs::path& place, const std::string& split) {
  const Files files(place);
  check(is_cifar(files), ExitCode::data, place.string(),
        " holds none of the files of CIFAR-10 or CIFAR-100");
  const bool train = split == "train";
  const bool ten = files.contains("data_batch_1.bin");
  CifarImages images;
  for (const std::string& name : batches(ten, train, ".bin"))
    add_cifar_records(files.read(name), ten ? 1 : 2, files.path(name), images);
  Labels labels;
  const std::string names_file = ten ? "batches.meta.txt" : "fine_label_names.txt";
  labels.class_names = lines_of(files.read(names_file));
  labels.labels = std::move(images.labels);
  const auto classes = static_cast<std::int64_t>(labels.class_names.size());
  for (const std::int64_t label : labels.labels)
    check(label >= 0 && label < classes, ExitCode::data, place.string(), " has a label ", label,
          " where ", names_file, " names ", classes, " classes");
  return std::make_unique<RawSource>(place.string() + "/" + split, std::move(images.pixels),
                                     ImageSize{cifar_side, cifar_side}, 3, std::move(labels));
}

}  // namespace sgmae
