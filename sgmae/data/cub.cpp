// CUB-200-2011: 200 kinds of birds. images.txt names each image by a number; the other files give,
// for each number, its class and whether it is for training.
#include <filesystem>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/data/files.h"
#include "sgmae/data/formats.h"
#include "sgmae/data/labels.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

// Lines "NUMBER VALUE".
std::map<std::int64_t, std::string> read_table(const fs::path& path) {
  std::map<std::int64_t, std::string> table;
  std::istringstream lines(as_utf8(read_text(path, ExitCode::data), path.string()));
  std::string line;
  for (int count = 1; std::getline(lines, line); ++count) {
    line = trimmed(line);
    if (line.empty()) continue;
    const std::size_t blank = line.find_first_of(" \t");
    const auto number = as_number(line.substr(0, std::min(blank, line.size())));
    check(number && blank != std::string::npos, ExitCode::data, path.string(), ", line ", count,
          ": expected a number and a value, not '", line.substr(0, 80), "'");
    table[*number] = trimmed(line.substr(blank));
  }
  return table;
}

const std::string& value_of(const std::map<std::int64_t, std::string>& table, std::int64_t number,
                            const fs::path& path) {
  const auto found = table.find(number);
  check(found != table.end(), ExitCode::data, path.string(), " has no line for number ", number);
  return found->second;
}

}  // namespace

std::optional<fs::path> find_cub(const fs::path& folder) {
  for (const fs::path& candidate : {folder, folder / "CUB_200_2011"})
    if (is_file(candidate / "images.txt") && is_file(candidate / "image_class_labels.txt"))
      return candidate;
  return std::nullopt;
}

std::unique_ptr<Source> open_cub(const fs::path& folder, const std::string& split) {
  const auto images = read_table(folder / "images.txt");
  const fs::path label_file = folder / "image_class_labels.txt";
  const fs::path split_file = folder / "train_test_split.txt", class_file = folder / "classes.txt";
  const auto class_of = read_table(label_file), is_training = read_table(split_file);
  const auto classes = read_table(class_file);

  Labels labels;
  std::map<std::int64_t, std::int64_t> label_of;  // by the class's number
  for (const auto& [number, name] : classes) {
    label_of[number] = static_cast<std::int64_t>(labels.class_names.size());
    labels.class_names.push_back(name);
  }
  std::vector<std::string> paths;
  const std::string wanted = split == "train" ? "1" : "0";
  for (const auto& [number, path] : images) {
    if (value_of(is_training, number, split_file) != wanted) continue;
    const std::string& word = value_of(class_of, number, label_file);
    const auto label = label_of.find(label_number(word).value_or(-1));
    check(label != label_of.end(), ExitCode::data, label_file.string(), " gives image ", number,
          " the class ", word, ", which ", class_file.string(), " lacks");
    paths.push_back(path);
    labels.labels.push_back(label->second);
  }
  check(!paths.empty(), ExitCode::data, split_file.string(), " has no image for '", split, "'");
  return std::make_unique<FileSource>(folder / "images", std::move(paths), std::move(labels));
}

}  // namespace sgmae
