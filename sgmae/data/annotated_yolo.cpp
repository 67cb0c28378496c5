// YOLO's layouts: a text file an image, in labels/ where the image is in images/, or beside it.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/data/annotated_formats.h"
#include "sgmae/data/file_type.h"
#include "sgmae/data/files.h"
#include "sgmae/data/labels.h"
#include "sgmae/data/left_out.h"
#include "sgmae/data/parallel.h"
#include "sgmae/data/split.h"
#include "sgmae/data/yolo_file.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;
using Weight = LeftOut::Weight;

// The file of a data set's description.
std::optional<fs::path> find_yaml(const fs::path& folder) {
  for (const char* name : {"data.yaml", "data.yml", "dataset.yaml", "dataset.yml"})
    if (is_file(folder / name)) return folder / name;
  std::optional<fs::path> found;
  for (const auto& [name, is_a_folder] : list_folder(folder)) {
    const std::string type = extension_of(name);
    if (is_a_folder || (type != "yaml" && type != "yml")) continue;
    if (found) return {};  // several, of which none is called so
    found = folder / name;
  }
  return found;
}

// Files of class names where there is no data.yaml.
std::optional<fs::path> find_names(const fs::path& folder) {
  for (const fs::path& place : {folder, folder / "labels", folder / "data"}) {
    for (const char* name : {"classes.txt", "obj.names", "classes.names"})
      if (is_file(place / name)) return place / name;
    if (is_folder(place))
      for (const auto& [name, is_a_folder] : list_folder(place))
        if (!is_a_folder && extension_of(name) == "names") return place / name;
  }
  return {};
}

// All image files below a folder, each folder's in order.
void add_images(const fs::path& folder, std::vector<fs::path>& images) {
  const auto all = [](const std::string&) { return true; };
  for (const std::string& name : files_below(folder, has_image_extension, all))
    images.push_back(folder / name);
}

// Darknet's paths are relative to where it is started, and its files in data/ there; CVAT writes
// them so without such a folder.
std::string without_data(const std::string& path) {
  const std::string folder = "data/";
  return path.starts_with(folder) ? path.substr(folder.size()) : path;
}

// The images that a list names, a path a line.
void add_listed(const fs::path& list, std::vector<fs::path>& images) {
  std::istringstream lines(read_text(list, ExitCode::data));
  for (std::string line; std::getline(lines, line);)
    if (line = trimmed(line); !line.empty()) {
      const fs::path folder = list.parent_path();
      const std::vector<fs::path> places{folder / line, folder / without_data(line), line};
      const auto found = std::find_if(places.begin(), places.end(), is_file);
      images.push_back((found == places.end() ? places[0] : *found).lexically_normal());
    }
}

fs::path label_file(const fs::path& image) {
  const fs::path sister = in_sister_folder(image, "images", "labels", ".txt");
  return !sister.empty() && is_file(sister) ? sister : fs::path(image).replace_extension(".txt");
}

// A file or folder that a description names, where that is.
std::optional<fs::path> place_of(const fs::path& base, const YoloData& data,
                                 const std::string& name) {
  std::vector<fs::path> places{base / data.path / name, base / name, base / without_data(name)};
  // Roboflow writes ../train/images for what lies beside the file.
  if (name.starts_with("../")) places.push_back(base / name.substr(3));
  std::error_code ignored;
  for (const fs::path& place : places)
    if (fs::exists(place, ignored)) return place.lexically_normal();
  return {};
}

const std::vector<std::string>* part_named(const YoloData& data, const std::string& split) {
  for (const std::string& word : names_of_split(split))
    if (const auto part = data.parts.find(word); part != data.parts.end()) return &part->second;
  return nullptr;
}

std::optional<fs::path> folder_called_as(const fs::path& folder, const std::string& split) {
  if (const auto images = folder_called(folder, "images"))
    if (const auto part = folder_of_split(*images, split)) return part;
  if (const auto part = folder_of_split(folder, split))
    return folder_called(*part, "images").value_or(*part);
  return {};
}

// What is known of a data set before its images are looked at.
struct Description {
  fs::path folder;  // of the data set
  fs::path file;    // which says of it what `data` holds; "": names of lists, or nothing
  YoloData data;

  fs::path base() const { return file.empty() ? folder : file.parent_path(); }
};

// Where the images of a part are that nothing names: all are for training, unless there are parts.
std::optional<fs::path> folder_of_images(const Description& description, const std::string& split) {
  const fs::path& folder = description.folder;
  if (const auto part = folder_called_as(folder, split)) return part;
  if (split != "train" || !description.data.parts.empty() || folder_called_as(folder, "val"))
    return {};
  return folder_called(folder, "images").value_or(folder);
}

bool lists_images(const fs::path& list) {
  std::istringstream lines(read_text(list, ExitCode::data));
  std::string line;
  while (std::getline(lines, line) && trimmed(line).empty()) {
  }
  return has_image_extension(trimmed(line));
}

// The .data file of a folder.
std::optional<fs::path> find_darknet_data(const fs::path& folder) {
  std::optional<fs::path> found;
  if (is_folder(folder))
    for (const auto& [name, is_a_folder] : list_folder(folder))
      if (!is_a_folder && extension_of(name) == "data" && (!found || name == "obj.data"))
        found = folder / name;
  return found;
}

// The parts by Darknet's lists, of which a .data file or their names say what they are for.
void add_lists(Description& found) {
  for (const fs::path& folder : {found.folder, found.folder / "data"}) {
    if (const auto file = find_darknet_data(folder); file && found.data.parts.empty()) {
      YoloData lists = parse_darknet_data(read_text(*file, ExitCode::data));
      if (!lists.parts.empty()) found.file = *file;
      found.data.parts = std::move(lists.parts);
      found.data.names_file = std::move(lists.names_file);
    }
    for (const char* part : {"train", "val", "test"})
      if (const auto list = file_of_split(folder, part, ".txt"); list && lists_images(*list))
        found.data.parts.try_emplace(part, 1, fs::absolute(*list).string());
  }
}

// What the file says that the user named, or one in the folder.
void read_description(const fs::path& path, const std::string& type, Description& found) {
  if (type == "data") {
    found.data = parse_darknet_data(read_text(path, ExitCode::data));
    found.file = path;
    return;
  }
  const bool named = type == "yaml" || type == "yml";
  const auto yaml = named ? std::optional(path) : find_yaml(found.folder);
  if (!yaml) return;
  YoloData data = parse_yolo_data(read_text(*yaml, ExitCode::data), yaml->string());
  const fs::path stem = yaml->stem();
  // Settings of other programs are in .yaml too.
  if (!named && data.class_names.empty() && stem != "data" && stem != "dataset") return;
  found.file = *yaml;
  found.data = std::move(data);
}

Description describe(const fs::path& path) {
  const bool in_folder = is_folder(path);
  const std::string type = in_folder ? "" : extension_of(path.string());
  check(in_folder || type == "yaml" || type == "yml" || type == "data" || type == "txt",
        ExitCode::data, path.string(),
        " does not describe a YOLO data set; give its folder, a data.yaml, a .data file or a .txt "
        "that lists images");
  Description found{in_folder ? path : path.parent_path(), {}, {}};
  read_description(path, type, found);
  YoloData& data = found.data;
  if (type == "txt") data.parts = {{"train", {fs::absolute(path).string()}}};
  if (data.parts.empty() || type == "txt" || type == "data") add_lists(found);
  if (data.class_names.empty()) {
    auto names =
        data.names_file.empty() ? std::nullopt : place_of(found.base(), data, data.names_file);
    if (!names) names = find_names(found.folder);
    if (names)
      data.class_names = parse_class_names(read_text(*names, ExitCode::data), names->string());
  }
  return found;
}

std::vector<fs::path> images_of(const Description& description, const std::string& split,
                                const std::string& data_root) {
  std::vector<fs::path> images;
  if (!data_root.empty()) {
    add_images(data_root, images);
    return images;
  }
  if (const auto* parts = part_named(description.data, split)) {
    for (const std::string& part : *parts) {
      const auto place = place_of(description.base(), description.data, part);
      check(place.has_value(), ExitCode::data, "there is no ", part, ", which ",
            description.file.string(), " names for '", split, "'; correct that entry");
      if (is_folder(*place))
        add_images(*place, images);
      else
        add_listed(*place, images);
    }
    return images;
  }
  const auto folder = folder_of_images(description, split);
  check(folder.has_value(), ExitCode::data, "there is no part '", split, "' in ",
        description.folder.string(), "; expected images/", split, "/ and labels/", split,
        "/, or a list ", split, ".txt");
  add_images(*folder, images);
  return images;
}

}  // namespace

bool find_yolo(const fs::path& folder, const std::string& split) {
  const Description description = describe(folder);
  const bool named = part_named(description.data, split) != nullptr;
  if (named && !description.file.empty() && !description.data.class_names.empty()) return true;
  if (!named && !folder_of_images(description, split)) return false;
  // Some image that has a text of its name; the first ones may have no objects. Beside the image
  // that may as well be its caption.
  for (const fs::path& image : images_of(description, split, "")) {
    const fs::path file = label_file(image);
    if (!is_file(file)) continue;
    if (file.parent_path() != image.parent_path()) return true;
    try {
      parse_yolo(read_text(file, ExitCode::data), "", description.data.keypoint_numbers);
      return true;
    } catch (const Error&) {
      return false;
    }
  }
  return false;
}

std::unique_ptr<AnnotatedImages> open_annotated_yolo(const fs::path& path, const std::string& split,
                                                     const std::string& data_root) {
  const Description description = describe(path);
  std::vector<ListedImage> listed;
  for (fs::path& image : images_of(description, split, data_root))
    listed.push_back({std::move(image), {}});
  std::vector<LeftOut> left_out;
  FoundImages images = find_images(listed, path.string(), left_out);

  std::vector<std::string> class_names = description.data.class_names;
  const bool named = !class_names.empty();
  const std::size_t count = images.listed.size();
  std::vector<fs::path> files(count);
  std::vector<std::vector<YoloObject>> lines(count);
  constexpr std::int64_t share = 64, threads = 8;
  in_parallel(static_cast<std::int64_t>(count), share, threads, [&] {
    return [&](std::int64_t begin, std::int64_t end) {
      for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
        fs::path file = label_file(listed[images.listed[i]].path);
        if (!is_file(file)) continue;
        lines[i] = parse_yolo(read_text(file, ExitCode::data), file.string(),
                              description.data.keypoint_numbers);
        files[i] = std::move(file);
      }
    };
  });
  const auto labelled =
      std::count_if(files.begin(), files.end(), [](const fs::path& file) { return !file.empty(); });
  check(labelled > 0, ExitCode::data, "none of the ", count, " images of '", split, "' in ",
        path.string(), " has a text file of its name; expected e.g. ",
        label_file(listed[images.listed[0]].path).string());
  if (labelled < static_cast<std::ptrdiff_t>(count)) {
    const auto first = std::find(files.begin(), files.end(), fs::path()) - files.begin();
    add_left_out(left_out, "images without a .txt, which count as without objects", Weight::by_rule,
                 images.source->name(first), static_cast<std::int64_t>(count) - labelled);
  }

  std::vector<std::vector<Instance>> objects(count);
  for (std::size_t i = 0; i < count; ++i) {
    const ImageSize size = images.sizes[i];
    for (const YoloObject& line : lines[i]) {
      const auto place = [&] { return str(files[i].string(), ":", line.line); };
      const auto number = static_cast<std::size_t>(line.category);
      check(!named || number < class_names.size(), ExitCode::data, place(), ": class ", number,
            ", but there are only ", class_names.size(), " class names, from 0 on");
      for (std::size_t next = class_names.size(); next <= number; ++next)
        class_names.push_back(str(next));
      if (line.keypoints)
        add_left_out(left_out, "objects whose keypoints are not used", Weight::by_rule, place());
      if (size == ImageSize{}) continue;
      Instance instance;
      instance.category = line.category;
      instance.box = box_of(line, size);
      if (!clip_to(size, place(), instance.box, left_out)) continue;
      instance.area = instance.box.area();
      if (std::vector<double> outline = outline_of(line, size); !outline.empty()) {
        instance.shape.polygons.push_back(std::move(outline));
        instance.area = area_inside(instance.shape.polygons);
      }
      objects[i].push_back(std::move(instance));
    }
    lines[i].clear();
  }
  return std::make_unique<StoredAnnotations>("YOLO", std::move(images), std::move(objects),
                                             std::move(class_names), std::move(left_out));
}

}  // namespace sgmae
