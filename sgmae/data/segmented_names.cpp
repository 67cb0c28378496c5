#include "sgmae/data/segmented_names.h"

#include <sstream>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/data/file_type.h"
#include "sgmae/data/files.h"
#include "sgmae/data/labels.h"
#include "sgmae/io/json_reader.h"

namespace sgmae {

namespace fs = std::filesystem;

LabelNames parse_label_names(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);)
    if (line = trimmed(line); !line.empty()) lines.push_back(std::move(line));
  LabelNames names;
  std::size_t numbered = 0;
  for (const std::string& line : lines) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const auto number = as_number(line.substr(0, colon));
    if (!number) return {};  // a text of another kind
    names.emplace(*number, trimmed(line.substr(colon + 1)));
    ++numbered;
  }
  if (numbered == lines.size()) return names;
  if (numbered > 0) return {};
  for (std::size_t i = 0; i < lines.size(); ++i)
    names.emplace(static_cast<std::int64_t>(i), lines[i]);
  return names;
}

LabelNames read_category_names(const fs::path& file) {
  LabelNames names;
  try {
    const std::string text = read_text(file, ExitCode::data), name = file.string();
    JsonReader json(text, name);
    json.object([&](std::string_view key) {
      if (key != "categories") return json.skip();
      json.array([&] {
        double id = -1;
        std::string called;
        json.object([&](std::string_view field) {
          if (field == "id")
            id = json.number();
          else if (field == "name")
            called = json.text();
          else
            json.skip();
        });
        if (id >= 0 && id < 256) names[static_cast<std::int64_t>(id)] = called;
      });
    });
  } catch (const Error&) {
    return {};
  }
  return names;
}

LabelNames find_label_names(const fs::path& folder) {
  for (const char* name : {"labels.txt", "classes.txt", "class_names.txt"})
    if (is_file(folder / name))
      if (auto names = parse_label_names(read_text(folder / name, ExitCode::data)); !names.empty())
        return names;
  for (const fs::path& place : {folder, folder / "annotations"}) {
    if (!is_folder(place)) continue;
    for (const auto& [name, is_a_folder] : list_folder(place))
      if (!is_a_folder && name.starts_with("panoptic_") && extension_of(name) == "json")
        if (auto names = read_category_names(place / name); !names.empty()) return names;
  }
  return {};
}

}  // namespace sgmae
