// List files: `path` or `path label` a line.
#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/data/files.h"
#include "sgmae/data/formats.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

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

// Where the list's first image is found: the list's folder or images/ in it; empty if in neither.
fs::path root_of(const fs::path& list, const std::string& first) {
  const fs::path folder = list.parent_path();
  for (const fs::path& root : {folder, folder / "images"})
    if (is_file(root / first)) return root.empty() ? fs::path(".") : root;
  return {};
}

fs::path root_of_list(const fs::path& list, const std::string& first,
                      const std::string& data_root) {
  if (!data_root.empty()) return data_root;
  if (fs::path root = root_of(list, first); !root.empty()) return root;
  const fs::path folder = list.parent_path();
  fail(ExitCode::data, "the first image of ", list.string(), ", ", first, ", is not in ",
       folder.empty() ? "." : folder.string(),
       " or its images/; say with --data_root where its "
       "paths begin");
}

}  // namespace

bool list_finds_images(const fs::path& list) {
  const std::vector<ListEntry> entries = read_list(list);
  return !entries.empty() && !root_of(list, entries.front().path).empty();
}

std::unique_ptr<Source> open_list(const fs::path& list, const std::string& data_root) {
  std::vector<ListEntry> entries = read_list(list);
  check(!entries.empty(), ExitCode::data, list.string(),
        " lists no image; expected one path a line");
  fs::path root = root_of_list(list, entries.front().path, data_root);
  const bool any_label = std::any_of(entries.begin(), entries.end(),
                                     [](const ListEntry& entry) { return !entry.label.empty(); });
  std::vector<std::string> paths, words;
  for (ListEntry& entry : entries) {
    words.push_back(any_label ? std::move(entry.label)
                              : fs::path(entry.path).parent_path().filename().string());
    paths.push_back(std::move(entry.path));
  }
  Labels labels = any_label ? number_by_word(words, list.string()) : number_by_name(words);
  return std::make_unique<FileSource>(std::move(root), std::move(paths), std::move(labels));
}

}  // namespace sgmae
