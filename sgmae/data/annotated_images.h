// Images in which objects are marked and named: COCO's and LVIS's JSON, YOLO's text, Pascal VOC's
// XML; docs/data.md describes each.
//
//   const auto data = open_annotated("/data/coco", "train");
//   Loader loader(data->images(), options);
//   …
//   for (const Instance& object : data->objects(batch.index[i])) draw(object.box);
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sgmae/base/options.h"
#include "sgmae/data/source.h"
#include "sgmae/image/runs.h"

namespace sgmae {

// One object.
struct Instance {
  PixelBox box;               // in pixels of the upright image; may reach beyond it
  std::int64_t category = 0;  // from 0, in the order of AnnotatedImages::class_names()
  bool crowd = false;         // a group, or hard to tell (VOC): neither object nor background
  double area = 0;            // pixels: as written, else inside the outline, else of the box
  Shape shape;                // empty: only a box
};

// Instances by image, and everything about images that a loader needs.
class AnnotatedImages {
 public:
  virtual ~AnnotatedImages() = default;

  // With and without objects in them; unlabelled.
  const Source& images() const { return *images_; }
  const std::vector<std::string>& class_names() const { return class_names_; }
  bool has_masks() const { return has_masks_; }  // some object has an outline

  // Of the image at a position of images(). Safe to use from several threads. All have an inside.
  std::vector<Instance> objects(std::int64_t image) const;
  ImageSize size(std::int64_t image) const { return sizes_[static_cast<std::size_t>(image)]; }

  // As in COCO's files of results: the ids of the JSON; else the image's name where all names are
  // numbers, or its number from 1, and the class's number from 0.
  std::int64_t image_id(std::int64_t image) const {
    return image_ids_[static_cast<std::size_t>(image)];
  }
  std::int64_t category_id(std::int64_t category) const {
    return category_ids_[static_cast<std::size_t>(category)];
  }

  // What was left out of images and objects, and what was mended, by reason.
  const std::vector<LeftOut>& left_out() const { return left_out_; }
  const char* format() const { return format_; }  // "COCO", "YOLO", "Pascal VOC"

  // Numbers the classes as another part of the data does. Those that only that one has get ids that
  // this one does not use. Throws Error(data) for a class that is not among them.
  void use_classes(const std::vector<std::string>& training);

 protected:
  explicit AnnotatedImages(const char* format) : format_(format) {}
  // With the file's own numbers of classes, before use_classes().
  virtual std::vector<Instance> read_objects(std::int64_t image) const = 0;

  std::unique_ptr<Source> images_;
  std::vector<ImageSize> sizes_;  // upright; 0 of images that cannot be read
  std::vector<std::int64_t> image_ids_, category_ids_;
  std::vector<std::string> class_names_;
  std::vector<LeftOut> left_out_;
  bool has_masks_ = false;

 private:
  const char* format_;
  std::vector<std::int64_t> class_of_;  // by the file's number; empty: the same
};

enum class AnnotationFormat { automatic, coco, yolo, voc };

// Opens what lies at `path`: a folder in one of the layouts of docs/data.md, a .json like COCO's,
// or a data.yaml, .data or list of YOLO's. `split` is as in open_source(); a .json itself is
// "train", and other splits are looked for beside it. `data_root`: where the images are, if not
// where the layout has them. Every image file is asked for its size: images that are missing, or
// that are not of the size that their annotations say, are left out and counted. Says in one line
// what was opened and in one what was left out. Throws Error(data), naming file and entry, for what
// is damaged or not there.
std::unique_ptr<AnnotatedImages> open_annotated(
    const std::string& path, const std::string& split = "train", const std::string& data_root = "",
    AnnotationFormat format = AnnotationFormat::automatic);

// Whether open_annotated() finds annotations of one of these kinds at `path`.
bool holds_annotations(const std::string& path, const std::string& split);

// Which annotated data, for training and testing.
struct AnnotatedData {
  std::string data_path, test_path, data_root;
  AnnotationFormat annotation_format = AnnotationFormat::automatic;
  std::string train_split = "train", test_split = "val";
  int num_workers = 2;  // decoding threads

  void declare(Options& options);  // section [data]
  void check() const;              // throws Error(usage)

  std::unique_ptr<AnnotatedImages> open_training_part() const;
  // Its classes are numbered as `class_names`, where any are given.
  std::unique_ptr<AnnotatedImages> open_test_part(
      const std::vector<std::string>& class_names) const;
};

void declare_annotation_format(Options& options, AnnotationFormat& format);

}  // namespace sgmae
