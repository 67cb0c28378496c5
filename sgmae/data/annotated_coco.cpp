// COCO's layouts: one JSON for all images of a part.
#include <algorithm>
#include <filesystem>
#include <map>
#include <numeric>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/data/annotated_formats.h"
#include "sgmae/data/coco_file.h"
#include "sgmae/data/file_type.h"
#include "sgmae/data/files.h"
#include "sgmae/data/left_out.h"
#include "sgmae/data/split.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;
using Weight = LeftOut::Weight;

// Documents of COCO's that hold no instances.
bool is_of_another_kind(const std::string& name) {
  for (const char* kind : {"captions_", "person_keypoints_", "panoptic_", "stuff_", "image_info_"})
    if (name.starts_with(kind)) return true;
  return false;
}

std::vector<fs::path> json_files(const fs::path& folder) {
  std::vector<fs::path> files;
  if (is_folder(folder))
    for (const auto& [name, is_a_folder] : list_folder(folder))
      if (!is_a_folder && extension_of(name) == "json" && !is_of_another_kind(name) &&
          marks_objects(folder / name))
        files.push_back(folder / name);
  return files;
}

// Of several that may be meant the one in COCO's manner; Error(data) where that does not tell.
fs::path only_one(const std::vector<fs::path>& files, const std::string& split) {
  if (files.size() == 1) return files.front();
  std::vector<fs::path> instances;
  for (const fs::path& file : files)
    if (file.filename().string().starts_with("instances")) instances.push_back(file);
  check(instances.size() == 1, ExitCode::data, files[0].string(), " and ", files[1].string(),
        " may both be for '", split, "'; name the one that is meant as the path");
  return instances.front();
}

// Whether a document says by its name that it is for some split.
bool says_a_split(const fs::path& file) {
  for (const char* split : {"train", "val"})
    for (const std::string& word : names_of_split(split))
      if (says(file.stem().string(), word)) return true;
  return false;
}

// The folders in which a document's images may be.
std::vector<fs::path> image_folders(const fs::path& json, const std::string& data_root) {
  std::vector<fs::path> bases;
  if (!data_root.empty()) {
    bases = {data_root, fs::path(data_root) / "images"};
  } else {
    const fs::path here = json.parent_path();
    bases = {here, here / "images"};
    const fs::path above = fs::absolute(here).lexically_normal();
    if (lower_case(above.filename().string()) == "annotations")
      for (const fs::path& base : {here / "..", here / ".." / "images"})
        bases.push_back(base.lexically_normal());
  }
  const std::string stem = lower_case(json.stem().string());
  std::vector<fs::path> folders;
  for (const fs::path& base : bases) {
    if (!is_folder(base) && !base.empty()) continue;
    folders.push_back(base);
    for (const auto& [name, is_a_folder] : list_folder(base.empty() ? "." : base)) {
      const std::string part = lower_case(name);
      if (is_a_folder && (stem == part || stem.ends_with("_" + part) || stem.ends_with("-" + part)))
        folders.push_back(base / name);
    }
  }
  return folders;
}

std::string with_slashes(std::string path) {
  std::replace(path.begin(), path.end(), '\\', '/');
  return path;
}

// The path of an image in a folder: as the document says, or by its file's name alone.
fs::path path_in(const fs::path& folder, const std::string& file_name, bool name_alone) {
  const fs::path path = with_slashes(file_name);
  return (folder / (name_alone ? path.filename() : path)).lexically_normal();
}

// Where most of a sample of the images are.
std::vector<ListedImage> locate(const CocoFile& coco, const fs::path& json,
                                const std::string& data_root) {
  const std::vector<CocoImage>& images = coco.images();
  check(!images.empty(), ExitCode::data, coco.name(), " lists no image");
  const std::vector<fs::path> folders = image_folders(json, data_root);
  constexpr std::size_t sample = 32;
  const std::size_t step = std::max<std::size_t>(1, images.size() / sample);
  fs::path best;
  bool best_name_alone = false;
  int most = 0;
  for (const bool name_alone : {false, true})
    for (const fs::path& folder : folders) {
      int there = 0;
      for (std::size_t i = 0; i < images.size(); i += step)
        there += is_file(path_in(folder, images[i].file_name, name_alone));
      if (there <= most) continue;
      most = there;
      best = folder;
      best_name_alone = name_alone;
    }
  if (most == 0) {
    std::string places;
    for (const fs::path& folder : folders)
      places += (places.empty() ? "" : ", ") + (folder.empty() ? "." : folder.string());
    fail(ExitCode::data, coco.name(), " lists images such as ", images[0].file_name,
         ", which are in none of ", places, "; say where they are with --data_root");
  }
  std::vector<ListedImage> listed;
  for (const CocoImage& image : images)
    listed.push_back({path_in(best, image.file_name, best_name_alone), image.size});
  return listed;
}

// What Roboflow puts at the front: a category that only stands above all others.
bool is_only_above(const CocoCategory& category, const std::vector<CocoCategory>& all) {
  return all.size() > 1 && std::all_of(all.begin(), all.end(), [&](const CocoCategory& other) {
           return &other == &category || other.supercategory == category.name;
         });
}

class CocoAnnotations : public AnnotatedImages {
 public:
  CocoAnnotations(const fs::path& json, const std::string& data_root)
      : AnnotatedImages("COCO"), coco_(json) {
    check(!coco_.is_panoptic(), ExitCode::data, coco_.name(),
          " is a panoptic document; boxes and outlines of objects are in instances_….json");
    left_out_ = coco_.left_out();
    number_classes();
    FoundImages images = find_images(locate(coco_, json, data_root), coco_.name(), left_out_);
    images_ = std::move(images.source);
    sizes_ = std::move(images.sizes);
    listed_ = std::move(images.listed);
    for (const std::size_t i : listed_) image_ids_.push_back(coco_.images()[i].id);
  }

 protected:
  std::vector<Instance> read_objects(std::int64_t image) const override {
    std::vector<Instance> objects;
    const auto listed = static_cast<std::int64_t>(listed_[static_cast<std::size_t>(image)]);
    for (const CocoAnnotation& annotation : coco_.objects_of(listed)) {
      Instance instance;
      instance.box = annotation.box.pixels();
      if (!(instance.box.left < instance.box.right && instance.box.top < instance.box.bottom))
        continue;  // the file's reader has counted it
      instance.category = number_[static_cast<std::size_t>(annotation.category)];
      instance.crowd = annotation.crowd;
      instance.area = annotation.area;
      instance.shape = coco_.shape(annotation);
      objects.push_back(std::move(instance));
    }
    return objects;
  }

 private:
  // In the order of their ids, as other programs number them.
  void number_classes() {
    const std::vector<CocoCategory>& all = coco_.categories();
    std::vector<std::uint8_t> used(all.size());
    for (const CocoAnnotation& annotation : coco_.annotations()) {
      used[static_cast<std::size_t>(annotation.category)] = 1;
      has_masks_ = has_masks_ || annotation.shape_at != 0;
    }
    std::vector<std::size_t> order(all.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return all[a].id < all[b].id; });
    number_.assign(all.size(), 0);
    std::set<std::string> names;
    for (const std::size_t i : order) {
      if (!used[i] && is_only_above(all[i], all)) {
        add_left_out(left_out_, "categories that only stand above all others", Weight::by_rule,
                     all[i].name);
        continue;
      }
      number_[i] = static_cast<std::int64_t>(class_names_.size());
      // Two of one name stay apart.
      const bool is_new = names.insert(all[i].name).second;
      class_names_.push_back(is_new ? all[i].name : str(all[i].name, " (", all[i].id, ")"));
      category_ids_.push_back(all[i].id);
    }
  }

  CocoFile coco_;
  std::vector<std::size_t> listed_;   // positions in the document of images()
  std::vector<std::int64_t> number_;  // of a class, by the category's position
};

}  // namespace

bool marks_objects(const fs::path& json) {
  const MappedFile file(json);
  const std::span<const std::uint8_t> bytes = file.bytes();
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return text.find("\"bbox\"") != std::string_view::npos ||
         text.find("\"segmentation\"") != std::string_view::npos;
}

std::optional<fs::path> find_coco(const fs::path& folder, const std::string& split) {
  std::vector<fs::path> files = json_files(folder);
  if (const auto annotations = folder_called(folder, "annotations"))
    for (fs::path& file : json_files(*annotations)) files.push_back(std::move(file));
  for (const std::string& word : names_of_split(split)) {
    std::vector<fs::path> named;
    for (const fs::path& file : files)
      if (says(file.stem().string(), word)) named.push_back(file);
    if (!named.empty()) return only_one(named, split);
  }
  if (const auto part = folder_of_split(folder, split))
    if (const fs::path roboflow = *part / "_annotations.coco.json"; is_file(roboflow))
      return roboflow;
  if (split != "train") return {};
  // The whole data set in one document, as labelling tools export it.
  for (const char* name : {"_annotations.coco.json", "result.json"})
    if (is_file(folder / name)) return folder / name;
  std::vector<fs::path> instances;
  for (const fs::path& file : files)
    if (file.filename().string().starts_with("instances") && !says_a_split(file))
      instances.push_back(file);
  if (!instances.empty()) return only_one(instances, split);
  return {};
}

std::unique_ptr<AnnotatedImages> open_annotated_coco(const fs::path& path, const std::string& split,
                                                     const std::string& data_root) {
  if (!is_folder(path) && split == "train")
    return std::make_unique<CocoAnnotations>(path, data_root);
  std::optional<fs::path> json;
  if (is_folder(path)) {
    json = find_coco(path, split);
  } else {
    const fs::path here = fs::absolute(path).lexically_normal().parent_path();
    for (const fs::path& folder : {here, here.parent_path()})
      if (!json) json = find_coco(folder, split);
  }
  check(json.has_value(), ExitCode::data, "there is no COCO document for '", split, "' ",
        is_folder(path) ? "in " : "beside ", path.string(), "; expected annotations/instances_",
        split, "2017.json, ", split, "/_annotations.coco.json, or a .json named as the path");
  return std::make_unique<CocoAnnotations>(*json, data_root);
}

}  // namespace sgmae
