// IDX files, plain or gzipped: MNIST, Fashion-MNIST, EMNIST …
#include "sgmae/data/idx.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/data/files.h"
#include "sgmae/data/formats.h"
#include "sgmae/data/gz.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

constexpr std::uint8_t idx_bytes = 0x08;  // type: unsigned bytes

Idx read_idx_file(const fs::path& path, std::size_t dimensions) {
  GzFile file(path);
  return read_idx([&](std::span<std::uint8_t> out) { return file.read(out); }, dimensions,
                  path.string());
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  if (at != std::string::npos) text.replace(at, from.size(), to);
  return text;
}

// The label file that belongs to an image file; empty where there is none.
fs::path labels_beside(const fs::path& images) {
  const std::string name = images.filename().string();
  const std::string label_name = replaced(replaced(name, "images", "labels"), "idx3", "idx1");
  if (label_name == name) return {};
  const std::string plain = replaced(label_name, ".gz", "");
  for (const std::string& candidate : {label_name, plain, plain + ".gz"})
    if (is_file(images.parent_path() / candidate)) return images.parent_path() / candidate;
  return {};
}

}  // namespace

bool is_idx(const fs::path& path) {
  GzFile file(path);
  std::array<std::uint8_t, 4> magic{};
  return file.read(magic) == magic.size() && magic[0] == 0 && magic[1] == 0 &&
         magic[2] == idx_bytes && magic[3] >= 1 && magic[3] <= 4;
}

Idx read_idx(const ReadNext& read, std::size_t dimensions, const std::string& name) {
  std::array<std::uint8_t, 4> word{};
  check(read(word) == 4 && word[0] == 0 && word[1] == 0 && word[2] == idx_bytes &&
            word[3] == dimensions,
        ExitCode::data, name, " is not an IDX file of bytes with ", dimensions, " dimension(s)");
  Idx idx;
  std::int64_t count = 1;
  for (std::size_t d = 0; d < dimensions; ++d) {
    check(read(word) == 4, ExitCode::data, name, " is truncated: it ends in its header");
    const std::int64_t length =
        static_cast<std::int64_t>(word[0]) << 24 | word[1] << 16 | word[2] << 8 | word[3];
    constexpr std::int64_t most = std::int64_t{1} << 33;  // 8 GiB; all of it is held in memory
    check(length >= 1 && length <= most / count, ExitCode::data, name, " has a dimension of ",
          length, " in its header; it is damaged");
    idx.shape.push_back(length);
    count *= length;
  }
  // In steps, so that a false header cannot claim memory that the file does not fill.
  constexpr std::int64_t step = 1 << 20;
  for (std::int64_t done = 0; done < count;) {
    const std::int64_t part = std::min(step, count - done);
    idx.values.resize(static_cast<std::size_t>(done + part));
    check(read(std::span(idx.values).subspan(static_cast<std::size_t>(done))) ==
              static_cast<std::size_t>(part),
          ExitCode::data, name, " is truncated or damaged: its header promises ", count,
          " bytes; an incomplete download?");
    done += part;
  }
  return idx;
}

std::unique_ptr<Source> open_idx(const fs::path& images) {
  Idx idx = read_idx_file(images, 3);
  constexpr std::int64_t largest_side = 65'535;
  check(idx.shape[1] <= largest_side && idx.shape[2] <= largest_side, ExitCode::data,
        images.string(), " claims images of ", idx.shape[2], "x", idx.shape[1], "; it is damaged");
  const ImageSize size{static_cast<int>(idx.shape[2]), static_cast<int>(idx.shape[1])};
  Labels labels;
  if (const fs::path path = labels_beside(images); !path.empty()) {
    const Idx ids = read_idx_file(path, 1);
    check(ids.shape[0] == idx.shape[0], ExitCode::data, path.string(), " has ", ids.shape[0],
          " labels for the ", idx.shape[0], " images of ", images.string());
    labels.labels.assign(ids.values.begin(), ids.values.end());
    const std::int64_t classes = *std::max_element(labels.labels.begin(), labels.labels.end()) + 1;
    for (std::int64_t i = 0; i < classes; ++i) labels.class_names.push_back(std::to_string(i));
  } else {
    labels.labels.assign(static_cast<std::size_t>(idx.shape[0]), -1);
  }
  return std::make_unique<RawSource>(images.string(), std::move(idx.values), size, 1,
                                     std::move(labels));
}

std::optional<fs::path> find_idx(const fs::path& folder, const std::string& split) {
  const std::vector<std::string> prefixes = split == "train"
                                                ? std::vector<std::string>{"train"}
                                                : std::vector<std::string>{"t10k", "test"};
  for (const auto& [name, is_a_folder] : list_folder(folder))
    for (const std::string& prefix : prefixes)
      if (name.starts_with(prefix) && name.find("images") != std::string::npos &&
          name.find("idx3") != std::string::npos)
        return folder / name;
  return std::nullopt;
}

}  // namespace sgmae
