// Images named in a list file.
#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/base/log.h"
#include "sgmae/data/file_type.h"
#include "sgmae/data/files.h"
#include "sgmae/data/formats.h"
#include "sgmae/data/list_file.h"
#include "sgmae/data/split.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

// Any one of a list's files may be missing, and its first is as likely as another: some, spread
// over the list, say where its paths begin.
std::vector<std::string> some_paths(const std::vector<ListLine>& lines) {
  constexpr std::size_t most = 64;
  const std::size_t step = (lines.size() + most - 1) / most;
  std::vector<std::string> paths;
  for (std::size_t i = 0; i < lines.size(); i += step) paths.push_back(lines[i].path);
  return paths;
}

std::string with_slashes(std::string path) {
  std::replace(path.begin(), path.end(), '\\', '/');
  return path;
}

// Where a list's paths begin: its folder, images/ in it, or the folder beside it of the list's own
// name (train/ for train.txt); empty if in none.
struct Root {
  fs::path folder;
  bool backslashes = false;  // its paths were written on Windows
};

Root root_of(const fs::path& list, const std::vector<std::string>& paths,
             const std::string& data_root) {
  const fs::path folder = list.parent_path();
  std::vector<fs::path> roots{folder, folder / "images", folder / list.stem()};
  if (!data_root.empty()) roots = {data_root};
  for (const bool backslashes : {false, true})
    for (const fs::path& root : roots)
      for (const std::string& path : paths)
        if (is_file(root / (backslashes ? with_slashes(path) : path)))
          return {root.empty() ? fs::path(".") : root, backslashes};
  return {};
}

// Leaves the lines of a split, where the list tells parts apart.
void keep_split(ListFile& list, const std::string& split, const std::string& where) {
  if (!list.parts) return;
  std::set<std::string> words;
  for (const ListLine& line : list.lines) words.insert(line.part);
  const auto part = named_as_split({words.begin(), words.end()}, split);
  check(part.has_value(), ExitCode::data, where, " has no line for '", split, "', only for '",
        *words.begin(), "' and '", *words.rbegin(), "'; make a list of the images that you want");
  const std::size_t all = list.lines.size();
  std::erase_if(list.lines, [&](const ListLine& line) { return line.part != *part; });
  info("data: reading those ", list.lines.size(), " of ", all, " lines of ", where,
       " that say that they are for '", *part, "'");
}

}  // namespace

ListFile read_list(const fs::path& list, const DataFormat& format) {
  const std::string where = list.string();
  return parse_list(as_utf8(read_text(list, ExitCode::data), where), where, format.image_key,
                    format.label_key);
}

bool list_finds_images(const fs::path& list, const DataFormat& format) {
  try {
    return !root_of(list, some_paths(read_list(list, format).lines), "").folder.empty();
  } catch (const Error&) {  // whoever opens it will say what is wrong
    return false;
  }
}

std::unique_ptr<Source> open_list(const fs::path& list, const std::string& split,
                                  const std::string& data_root, const DataFormat& format) {
  ListFile read = read_list(list, format);
  check(!read.lines.empty(), ExitCode::data, list.string(),
        " lists no image; expected one path a line");
  if (!read.remark.empty()) warn(list.string(), ": ", read.remark);
  keep_split(read, split, list.string());
  const std::vector<std::string> tried = some_paths(read.lines);
  Root root = root_of(list, tried, data_root);
  if (root.folder.empty()) {
    const fs::path folder = list.parent_path().empty() ? "." : list.parent_path();
    check(!data_root.empty(), ExitCode::data, "the images of ", list.string(), ", e.g. ",
          tried.front(), ", are not in ", folder.string(), ", its images/ or its ",
          list.stem().string(),
          extension_of(tried.front()).empty() ? "/; the paths lack a file extension such as .jpg"
                                              : "/; say with --data_root where its paths begin");
    root.folder = data_root;
  }
  std::vector<std::string> paths, words;
  for (ListLine& line : read.lines) {
    if (root.backslashes) line.path = with_slashes(std::move(line.path));
    words.push_back(read.labelled ? std::move(line.label)
                                  : fs::path(line.path).parent_path().filename().string());
    paths.push_back(std::move(line.path));
  }
  std::vector<LeftOut> left_out;
  const auto place = [&](std::size_t i) {
    return str(list.string(), ", line ", read.lines[i].number);
  };
  Labels labels =
      read.labelled ? number_by_word(words, list.string(), place, left_out) : number_by_name(words);
  return std::make_unique<FileSource>(std::move(root.folder), std::move(paths), std::move(labels),
                                      std::move(left_out));
}

}  // namespace sgmae
