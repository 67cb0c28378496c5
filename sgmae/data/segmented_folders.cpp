// Any images/ with PNGs of the same names in labels/, annotations/, masks/ or semantic/: parts of a
// data set are folders in these, or these are folders in the parts.
#include <algorithm>
#include <array>
#include <set>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/base/log.h"
#include "sgmae/data/annotated_formats.h"
#include "sgmae/data/file_type.h"
#include "sgmae/data/files.h"
#include "sgmae/data/left_out.h"
#include "sgmae/data/parallel.h"
#include "sgmae/data/segmented_formats.h"
#include "sgmae/data/segmented_names.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

// Whether a PNG lies in the folder or in one in it.
bool holds_png(const fs::path& folder, int depth = 2) {
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (extension_of(it->path().string()) == "png") return true;
    std::error_code ignored;
    if (depth > 0 && it->is_directory(ignored) && holds_png(it->path(), depth - 1)) return true;
  }
  return false;
}

std::optional<FolderPair> pair_in(const fs::path& folder, const std::string& split,
                                  bool with_parts) {
  const auto images = folder_called(folder, "images");
  if (!images) return {};
  const auto part_of = [&](const fs::path& whole) {
    return with_parts ? folder_of_split(whole, split) : std::optional(whole);
  };
  const auto image_part = part_of(*images);
  if (!image_part) return {};
  for (const char* name : {"labels", "annotations", "masks", "semantic"})
    if (const auto labels = folder_called(folder, name))
      if (const auto part = part_of(*labels); part && holds_png(*part))
        return FolderPair{*image_part, *part};
  return {};
}

// Which values occur.
struct Seen {
  std::array<bool, 256> values{};
  std::int64_t files = 0, of = 0;  // looked at
};

// A look at the labels of all parts, so that they agree on the classes; of many at some.
Seen look_at(const fs::path& folder, const FolderPair& part) {
  std::set<fs::path> folders{part.labels};
  for (const char* split : {"train", "val", "test"})
    if (const auto other = find_label_folders(folder, split)) folders.insert(other->labels);
  std::vector<fs::path> files;
  for (const fs::path& place : folders) {
    std::error_code error;
    for (fs::recursive_directory_iterator it(place, error), end; !error && it != end;
         it.increment(error))
      if (extension_of(it->path().string()) == "png") files.push_back(it->path());
  }
  std::sort(files.begin(), files.end());
  constexpr std::size_t most = 512;
  Seen seen;
  seen.of = static_cast<std::int64_t>(files.size());
  const std::size_t count = std::min(most, files.size());
  std::vector<std::array<bool, 256>> values(count);
  constexpr std::int64_t share = 8, threads = 8;
  in_parallel(static_cast<std::int64_t>(count), share, threads, [&] {
    return [&, map = LabelMap()](std::int64_t begin, std::int64_t end) mutable {
      for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
        try {
          const fs::path& file = files[i * files.size() / count];
          read_label_map(read_file(file, ExitCode::data, max_image_bytes), map);
          for (const std::uint8_t value : map.labels) values[i][value] = true;
        } catch (const Error&) {  // whoever reads it will say why
        }
      }
    };
  });
  seen.files = static_cast<std::int64_t>(count);
  for (const auto& of_file : values)
    for (std::size_t v = 0; v < of_file.size(); ++v) seen.values[v] = seen.values[v] || of_file[v];
  return seen;
}

// One more than the number of the largest value that counts.
std::int64_t classes_of(const Seen& seen, const LabelCoding& coding) {
  for (std::int64_t value = 255; value >= 0; --value)
    if (seen.values[static_cast<std::size_t>(value)] && value != coding.ignore)
      return value + !coding.reduce_zero_label;
  return 0;
}

}  // namespace

std::optional<FolderPair> find_label_folders(const fs::path& folder, const std::string& split) {
  if (const auto parts = pair_in(folder, split, true)) return parts;
  if (const auto part = folder_of_split(folder, split))
    if (const auto inner = pair_in(*part, split, false)) return inner;
  return split == "train" ? pair_in(folder, split, false) : std::nullopt;
}

LabelledFiles list_label_folders(const fs::path& folder, const FolderPair& folders,
                                 const LabelCoding& coding) {
  LabelledFiles found = pair_files(folders);
  found.format = folders_format;
  LabelNames names = find_label_names(folder);
  std::int64_t classes = coding.classes;
  if (classes == 0) {
    const Seen seen = look_at(folder, folders);
    classes = classes_of(seen, coding);
    // Names of values that do not occur.
    const bool from_names = !names.empty() &&
                            names.rbegin()->first + !coding.reduce_zero_label >= classes &&
                            names.rbegin()->first < 255;
    if (from_names) classes = names.rbegin()->first + !coding.reduce_zero_label;
    const auto occurs = [&](int value) {
      return str(value, seen.values[static_cast<std::size_t>(value)] ? " occurs" : " does not");
    };
    const std::int64_t largest = classes_of(seen, {.ignore = coding.ignore}) - 1;
    check(classes >= 2 && classes <= 255, ExitCode::data, "the labels in ", folders.labels.string(),
          " have ", classes < 2 ? "no two classes" : "256 classes", ": their largest value is ",
          largest, ", ", occurs(0), ", ", occurs(255),
          classes < 2 ? "; write the numbers of classes, 0, 1, 2 … (255 counts nowhere, or what "
                        "--ignore says), and give --classes"
                      : "; 255 at most can be told apart, see --ignore");
    info("labels: in ", seen.files, " of ", seen.of, " PNGs the largest value is ", largest, ", ",
         occurs(0), ", ", occurs(255), "; taken for ", classes, " classes",
         from_names ? " as they are named" : "", ", ",
         coding.reduce_zero_label ? "0 counts nowhere"
                                  : "0 is one of them (--reduce_zero_label: it counts nowhere)",
         coding.ignore >= 0 ? str(", ", coding.ignore, " counts nowhere") : "");
  }
  std::vector<int> ignored;
  if (coding.ignore >= 0) ignored.push_back(static_cast<int>(coding.ignore));
  if (coding.reduce_zero_label) ignored.push_back(0);
  const int first = coding.reduce_zero_label ? 1 : 0;
  found.class_of = classes_from(first, classes, ignored);
  // Every class has a name, also one whose value counts nowhere.
  std::size_t named = 0;
  for (std::int64_t i = 0; i < classes; ++i) {
    const auto name = names.find(i + first);
    named += name != names.end();
    found.class_names.push_back(name != names.end() ? name->second : str("class ", i + first));
  }
  found.named = named > 0;
  return found;
}

}  // namespace sgmae
