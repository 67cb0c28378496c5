#include "sgmae/data/annotated_images.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "sgmae/base/counted.h"
#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/base/log.h"
#include "sgmae/data/annotated_formats.h"
#include "sgmae/data/file_type.h"
#include "sgmae/data/files.h"
#include "sgmae/data/labels.h"
#include "sgmae/data/left_out.h"
#include "sgmae/data/parallel.h"
#include "sgmae/data/split.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;
using Weight = LeftOut::Weight;

constexpr auto layouts =
    "expected COCO's JSON (annotations/instances_train2017.json, train/_annotations.coco.json or a "
    ".json itself), Pascal VOC's XML (Annotations/ and JPEGImages/, or .xml beside the images) or "
    "YOLO's text (data.yaml, or images/train/ and labels/train/)";

std::string said(ImageSize size) {
  return str(size.width, "x", size.height);
}

void tell(const AnnotatedImages& data, const std::string& path, const std::string& split) {
  info("data: ", data.format(), " annotations of ", counted(data.images().size(), "image"),
       " for '", split, "' in ", path, ", ", counted(data.class_names().size(), "class", "classes"),
       data.has_masks() ? ", with outlines" : ", boxes only");
  if (const std::string text = describe(data.left_out(), Weight::told); !text.empty())
    warn("left out of ", path, ": ", text, "; sgmae data stats lists all");
}

AnnotationFormat recognise(const fs::path& path, const std::string& split) {
  if (!is_folder(path)) {
    const std::string type = extension_of(path.string());
    if (type == "json") return AnnotationFormat::coco;
    if (type == "yaml" || type == "yml" || type == "data") return AnnotationFormat::yolo;
    fail(ExitCode::data, path.string(), " holds no annotations that are read; ", layouts);
  }
  if (find_coco(path, split)) return AnnotationFormat::coco;
  if (find_voc(path, split)) return AnnotationFormat::voc;
  if (find_yolo(path, split)) return AnnotationFormat::yolo;
  return AnnotationFormat::automatic;
}

}  // namespace

std::vector<Instance> AnnotatedImages::objects(std::int64_t image) const {
  std::vector<Instance> objects = read_objects(image);
  if (!class_of_.empty())
    for (Instance& object : objects)
      object.category = class_of_[static_cast<std::size_t>(object.category)];
  return objects;
}

void AnnotatedImages::use_classes(const std::vector<std::string>& training) {
  std::map<std::string, std::int64_t> number;
  for (std::size_t i = 0; i < training.size(); ++i)
    number.emplace(training[i], static_cast<std::int64_t>(i));
  std::vector<std::int64_t> class_of;
  constexpr std::int64_t none = -1;
  std::vector<std::int64_t> ids(training.size(), none);
  std::int64_t unused = 0;
  for (std::size_t i = 0; i < class_names_.size(); ++i) {
    const auto found = number.find(class_names_[i]);
    check(found != number.end(), ExitCode::data, "the evaluation images have a class '",
          class_names_[i], "' that the training images lack");
    class_of.push_back(found->second);
    ids[static_cast<std::size_t>(found->second)] = category_ids_[i];
    unused = std::max(unused, category_ids_[i] + 1);
  }
  for (std::int64_t& id : ids)
    if (id == none) id = unused++;
  if (class_of_.empty())
    class_of_ = std::move(class_of);
  else
    for (std::int64_t& known : class_of_) known = class_of[static_cast<std::size_t>(known)];
  category_ids_ = std::move(ids);
  class_names_ = training;
}

std::optional<fs::path> folder_of_split(const fs::path& folder, const std::string& split) {
  std::vector<std::string> folders;
  if (!is_folder(folder)) return {};
  for (auto& [name, is_a_folder] : list_folder(folder))
    if (is_a_folder) folders.push_back(name);
  const auto name = named_as_split(folders, split);
  return name ? std::optional(folder / *name) : std::nullopt;
}

std::optional<fs::path> folder_called(const fs::path& folder, const std::string& name) {
  if (is_folder(folder))
    for (const auto& [entry, is_a_folder] : list_folder(folder))
      if (is_a_folder && lower_case(entry) == name) return folder / entry;
  return {};
}

FoundImages find_images(const std::vector<ListedImage>& list, const std::string& where,
                        std::vector<LeftOut>& left_out) {
  // A network disk answers slowly, and many questions at once.
  constexpr std::int64_t share = 64, threads = 16;
  std::vector<ImageSize> sizes(list.size());
  std::vector<std::uint8_t> there(list.size());
  in_parallel(static_cast<std::int64_t>(list.size()), share, threads, [&] {
    return [&](std::int64_t begin, std::int64_t end) {
      for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
        there[i] = is_file(list[i].path);
        if (there[i]) sizes[i] = upright_size_of(list[i].path);
      }
    };
  });
  FoundImages found;
  std::vector<std::string> paths;
  std::string why;  // of the last one
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string path = list[i].path.string();
    const ImageSize size = list[i].size;
    if (!there[i]) {
      add_left_out(left_out, "images that are not there", Weight::lost, path);
      why = str(path, " is not there");
    } else if (size != ImageSize{} && sizes[i] != ImageSize{} && size != sizes[i]) {
      const bool turned = size.width == sizes[i].height && size.height == sizes[i].width;
      why = str(path, " is ", said(sizes[i]), " but annotated as ", said(size),
                turned ? ", as if its EXIF orientation did not count" : "");
      add_left_out(left_out, "images of another size than their annotations say", Weight::lost,
                   why);
    } else {
      found.listed.push_back(i);
      found.sizes.push_back(sizes[i]);
      paths.push_back(path);
    }
  }
  check(!paths.empty(), ExitCode::data, where, " has no image that can be used",
        list.empty() ? "" : str(": of ", list.size(), " listed, e.g. ", why));
  Labels unlabelled{std::vector<std::int64_t>(paths.size(), -1), {}};
  found.source = std::make_unique<FileSource>(fs::path(), std::move(paths), std::move(unlabelled));
  return found;
}

bool clip_to(ImageSize size, const std::string& place, PixelBox& box,
             std::vector<LeftOut>& left_out) {
  const double width = size.width, height = size.height;
  if (box.left < -1 || box.top < -1 || box.right > width + 1 || box.bottom > height + 1)
    add_left_out(left_out, "boxes that overstep their image, clipped to it", Weight::by_rule,
                 place);
  box = {std::clamp(box.left, 0.0, width), std::clamp(box.top, 0.0, height),
         std::clamp(box.right, 0.0, width), std::clamp(box.bottom, 0.0, height)};
  if (box.left < box.right && box.top < box.bottom) return true;
  add_left_out(left_out, "boxes without an inside", Weight::lost, place);
  return false;
}

StoredAnnotations::StoredAnnotations(const char* format, FoundImages images,
                                     std::vector<std::vector<Instance>> objects,
                                     std::vector<std::string> class_names,
                                     std::vector<LeftOut> left_out)
    : AnnotatedImages(format), objects_(std::move(objects)) {
  SGMAE_ASSERT(objects_.size() == images.sizes.size());
  images_ = std::move(images.source);
  sizes_ = std::move(images.sizes);
  class_names_ = told_apart(std::move(class_names));
  left_out_ = std::move(left_out);
  for (const auto& of_image : objects_)
    for (const Instance& object : of_image) has_masks_ = has_masks_ || !object.shape.empty();
  for (std::size_t i = 0; i < class_names_.size(); ++i)
    category_ids_.push_back(static_cast<std::int64_t>(i));
  std::set<std::int64_t> ids;
  for (std::int64_t i = 0; i < images_->size(); ++i) {
    constexpr std::size_t most_digits = 15;  // what a double holds, as JSON readers have it
    const std::string stem = fs::path(images_->name(i)).stem().string();
    const auto number = stem.size() <= most_digits ? as_number(stem) : std::nullopt;
    if (!number || !ids.insert(*number).second) break;
    image_ids_.push_back(*number);
  }
  if (image_ids_.size() == sizes_.size()) return;
  image_ids_.clear();
  for (std::int64_t i = 0; i < images_->size(); ++i) image_ids_.push_back(i + 1);
}

bool holds_annotations(const std::string& path, const std::string& split) {
  names_of_split(split);
  if (is_folder(path)) return recognise(path, split) != AnnotationFormat::automatic;
  if (!is_file(path)) return false;
  const std::string type = extension_of(path);
  return type == "json" ? marks_objects(path) : type == "yaml" || type == "yml" || type == "data";
}

std::unique_ptr<AnnotatedImages> open_annotated(const std::string& path, const std::string& split,
                                                const std::string& data_root,
                                                AnnotationFormat format) {
  names_of_split(split);  // an unknown split is an error of usage, whatever is there
  check(!path.empty(), ExitCode::usage, "no data set given; use --data_path FOLDER");
  std::error_code ignored;
  check(fs::exists(path, ignored), ExitCode::data, "there is no ", path, "; ", layouts);
  check(data_root.empty() || is_folder(data_root), ExitCode::data, "there is no folder ", data_root,
        ", which --data_root names");
  if (format == AnnotationFormat::automatic) format = recognise(path, split);
  std::unique_ptr<AnnotatedImages> data;
  switch (format) {
    case AnnotationFormat::automatic:
      fail(ExitCode::data, "there are no annotations for '", split, "' in ", path, "; ", layouts);
    case AnnotationFormat::coco:
      data = open_annotated_coco(path, split, data_root);
      break;
    case AnnotationFormat::voc:
      data = open_annotated_voc(path, split, data_root);
      break;
    case AnnotationFormat::yolo:
      data = open_annotated_yolo(path, split, data_root);
      break;
  }
  tell(*data, path, split);
  return data;
}

void declare_annotation_format(Options& options, AnnotationFormat& format) {
  options
      .add("annotation_format", format,
           {{"auto", AnnotationFormat::automatic},
            {"coco", AnnotationFormat::coco},
            {"yolo", AnnotationFormat::yolo},
            {"voc", AnnotationFormat::voc}},
           "who wrote the annotations; auto: recognised by their files")
      .may_change_on_resume();
}

void AnnotatedData::declare(Options& o) {
  o.section("data");
  o.add("data_path", data_path,
        "annotated images: a folder in COCO's, YOLO's or Pascal VOC's layout, a .json or a "
        "data.yaml")
      .may_change_on_resume();
  declare_annotation_format(o, annotation_format);
  o.add("data_root", data_root,
        "where the images are; empty: where the layout has them, or beside the .json")
      .may_change_on_resume();
  o.add("test_path", test_path,
        "annotated images to test on, where they are not a part of data_path (another .json)")
      .may_change_on_resume();
  o.add("train_split", train_split, "split to train on: train, val or test");
  o.add("test_split", test_split, "split to test on");
  o.add("num_workers", num_workers, "threads that decode images; 0: decode in the main thread")
      .may_change_on_resume();
}

void AnnotatedData::check() const {
  sgmae::check(!data_path.empty(), ExitCode::usage, "name annotated images with --data_path; ",
               layouts);
  sgmae::check(num_workers >= 0, ExitCode::usage, "num_workers must not be negative, but is ",
               num_workers);
  names_of_split(train_split);
  names_of_split(test_split);
}

std::unique_ptr<AnnotatedImages> AnnotatedData::open_training_part() const {
  auto data = open_annotated(data_path, train_split, data_root, annotation_format);
  sgmae::check(!data->class_names().empty(), ExitCode::data, data_path,
               " names no class and marks no object for '", train_split, "'");
  return data;
}

std::unique_ptr<AnnotatedImages> AnnotatedData::open_test_part(
    const std::vector<std::string>& class_names) const {
  // A path of its own is that part.
  const bool own = !test_path.empty();
  const bool itself = own && !is_folder(test_path);
  auto data = open_annotated(own ? test_path : data_path, itself ? "train" : test_split, data_root,
                             annotation_format);
  if (!class_names.empty()) data->use_classes(class_names);
  return data;
}

}  // namespace sgmae
