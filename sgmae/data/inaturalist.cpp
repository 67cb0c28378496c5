// iNaturalist (2017 to 2021): a JSON file in COCO's manner, in which each image has one category.
#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/base/json.h"
#include "sgmae/data/files.h"
#include "sgmae/data/formats.h"
#include "sgmae/data/labels.h"
#include "sgmae/data/left_out.h"
#include "sgmae/data/split.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// The document without what is not needed here: licences and the like are most of it.
json parse(const fs::path& path) {
  static const std::set<std::string> needed{"images",    "annotations", "categories",  "id",
                                            "file_name", "image_id",    "category_id", "name"};
  const auto keep = [](int, json::parse_event_t event, json& value) {
    return event != json::parse_event_t::key || needed.contains(value.get_ref<std::string&>());
  };
  try {
    return json::parse(read_text(path, ExitCode::data), keep);
  } catch (const json::exception& error) {
    fail(ExitCode::data, path.string(), " is damaged: ", error.what());
  }
}

// The JSON files of a split in `folder`: train2019.json; val2019.json.
std::vector<fs::path> candidates(const fs::path& folder, const std::string& split) {
  std::vector<fs::path> found;
  for (const std::string& word : names_of_split(split))
    for (const auto& [name, is_a_folder] : list_folder(folder))
      if (!is_a_folder && name.starts_with(word + "20") && name.ends_with(".json") &&
          name.size() == word.size() + 9)
        found.push_back(folder / name);
  return found;
}

}  // namespace

std::optional<fs::path> find_inaturalist(const fs::path& folder, const std::string& split) {
  const auto found = candidates(folder, split);
  return found.empty() ? std::nullopt : std::optional(found.front());
}

std::unique_ptr<Source> open_inaturalist(const fs::path& path, const std::string& split,
                                         const std::string& data_root) {
  fs::path file = path;
  if (is_folder(path) || split != "train") {
    const fs::path folder = is_folder(path) ? path : path.parent_path();
    const auto found = find_inaturalist(folder, split);
    check(found.has_value(), ExitCode::data, "there is no JSON file for '", split, "' in ",
          folder.string(), "; expected a name like ", split, "2019.json");
    file = *found;
  }
  const json document = parse(file);
  const auto id_in = [&](const json& object, const char* key) {
    // 7, and 7.0 or "7" as other exporters write it.
    const auto text = label_of_json(json_member(object, key));
    const auto value = text ? label_number(*text) : std::nullopt;
    check(value.has_value(), ExitCode::data, file.string(),
          " is not a list of images as iNaturalist publishes them: an entry has no number '", key,
          "'");
    return *value;
  };
  try {
    Labels labels;
    std::map<std::int64_t, std::string> names;
    for (const json& category : document.at("categories"))
      names[id_in(category, "id")] = category.at("name").get<std::string>();
    std::map<std::int64_t, std::int64_t> label_of;
    for (const auto& [id, name] : names) {
      label_of[id] = static_cast<std::int64_t>(labels.class_names.size());
      labels.class_names.push_back(name);
    }
    std::map<std::int64_t, std::int64_t> category_of;  // by image
    if (document.contains("annotations"))
      for (const json& annotation : document.at("annotations")) {
        const auto category = id_in(annotation, "category_id");
        if (category == -1) continue;  // no label
        check(label_of.contains(category), ExitCode::data, file.string(),
              " has annotations of category ", category, ", which its list of categories lacks");
        const auto [known, is_new] = category_of.emplace(id_in(annotation, "image_id"), category);
        check(is_new || known->second == category, ExitCode::data, file.string(),
              " gives an image several categories; it is a data set for detection, not for "
              "classification");
      }
    std::vector<std::string> paths;
    std::size_t annotated = 0;
    for (const json& image : document.at("images")) {
      const auto category = category_of.find(id_in(image, "id"));
      annotated += category != category_of.end();
      paths.push_back(image.at("file_name").get<std::string>());
      labels.labels.push_back(category == category_of.end() ? -1 : label_of.at(category->second));
    }
    check(!paths.empty(), ExitCode::data, file.string(), " lists no image");
    std::vector<LeftOut> left_out;
    if (annotated < category_of.size())
      add_left_out(left_out, "annotations of images that are not listed", LeftOut::Weight::told,
                   file.filename().string(),
                   static_cast<std::int64_t>(category_of.size() - annotated));
    const fs::path root = data_root.empty() ? file.parent_path() : fs::path(data_root);
    return std::make_unique<FileSource>(root, std::move(paths), std::move(labels),
                                        std::move(left_out));
  } catch (const json::exception& error) {
    fail(ExitCode::data, file.string(),
         " is not a list of images as iNaturalist publishes them: ", error.what());
  }
}

}  // namespace sgmae
