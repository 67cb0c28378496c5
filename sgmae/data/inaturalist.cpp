// iNaturalist (2017 to 2021): a JSON file in COCO's manner, in which each image has one category.
#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/base/log.h"
#include "sgmae/data/files.h"
#include "sgmae/data/formats.h"
#include "sgmae/data/labels.h"
#include "sgmae/data/left_out.h"
#include "sgmae/data/split.h"
#include "sgmae/io/json_reader.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

// What is asked for of an entry of any of the lists.
struct Entry {
  std::optional<std::int64_t> id, image_id, category_id;
  std::optional<std::string> file_name, name;
};

// What the lists say; licences and the like are most of the file.
struct Document {
  std::vector<Entry> images, annotations, categories;
  bool has_images = false, has_categories = false;
};

Entry read_entry(JsonReader& json) {
  Entry entry;
  // 7, and 7.0 or "7" as other exporters write it.
  const auto id = [&]() -> std::optional<std::int64_t> {
    if (json.kind() == JsonReader::Kind::number) return whole_number(json.number_text());
    if (json.kind() == JsonReader::Kind::text) return whole_number(json.text());
    json.skip();
    return {};
  };
  const auto text = [&]() -> std::optional<std::string> {
    if (json.kind() == JsonReader::Kind::text) return std::string(json.text());
    json.skip();
    return {};
  };
  json.object([&](std::string_view key) {
    if (key == "id")
      entry.id = id();
    else if (key == "image_id")
      entry.image_id = id();
    else if (key == "category_id")
      entry.category_id = id();
    else if (key == "file_name")
      entry.file_name = text();
    else if (key == "name")
      entry.name = text();
    else
      json.skip();
  });
  return entry;
}

Document parse(const fs::path& path) {
  const MappedFile file(path);
  const std::string name = path.string();
  JsonReader json({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()}, name);
  Document document;
  json.object([&](std::string_view key) {
    const auto into = [&](std::vector<Entry>& list) {
      json.array([&] { list.push_back(read_entry(json)); });
      return true;
    };
    if (key == "images")
      document.has_images = into(document.images);
    else if (key == "categories")
      document.has_categories = into(document.categories);
    else if (key == "annotations")
      into(document.annotations);
    else
      json.skip();
  });
  json.finish();
  return document;
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

// Those of 2021 have names that any JSON may have: train.json, train_mini.json, val.json.
std::optional<fs::path> find_without_year(const fs::path& folder, const std::string& split) {
  for (const std::string& word : names_of_split(split))
    for (const char* ending : {".json", "_mini.json"})
      if (fs::path file = folder / (word + ending); is_file(file)) return file;
  return {};
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
    auto found = find_inaturalist(folder, split);
    if (!found) found = find_without_year(folder, split);
    check(found.has_value(), ExitCode::data, "there is no JSON file for '", split, "' in ",
          folder.string(), "; expected a name like ", split, "2019.json or ", split, ".json");
    file = *found;
    info("data: reading the images of ", file.string());
  }
  const Document document = parse(file);
  const auto needed = [&](const auto& value, const char* what) {
    check(value.has_value(), ExitCode::data, file.string(),
          " is not a list of images as iNaturalist publishes them: ", what);
    return *value;
  };
  check(document.has_images && document.has_categories, ExitCode::data, file.string(),
        " is not a list of images as iNaturalist publishes them: it lists no images or no "
        "categories");
  Labels labels;
  std::map<std::int64_t, std::string> names;
  for (const Entry& category : document.categories)
    names[needed(category.id, "a category has no number 'id'")] =
        needed(category.name, "a category has no text 'name'");
  std::map<std::int64_t, std::int64_t> label_of;
  for (const auto& [id, name] : names) {
    label_of[id] = static_cast<std::int64_t>(labels.class_names.size());
    labels.class_names.push_back(name);
  }
  std::unordered_map<std::int64_t, std::int64_t> category_of;  // by image
  for (const Entry& annotation : document.annotations) {
    const auto category = needed(annotation.category_id, "an entry has no number 'category_id'");
    if (category == -1) continue;  // no label
    check(label_of.contains(category), ExitCode::data, file.string(),
          " has annotations of category ", category, ", which its list of categories lacks");
    const auto [known, is_new] = category_of.emplace(
        needed(annotation.image_id, "an entry has no number 'image_id'"), category);
    check(is_new || known->second == category, ExitCode::data, file.string(),
          " gives an image several categories; it is a data set for detection, not for "
          "classification");
  }
  std::vector<std::string> paths;
  std::size_t annotated = 0;
  for (const Entry& image : document.images) {
    const auto category = category_of.find(needed(image.id, "an image has no number 'id'"));
    annotated += category != category_of.end();
    paths.push_back(needed(image.file_name, "an image has no text 'file_name'"));
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
}

}  // namespace sgmae
