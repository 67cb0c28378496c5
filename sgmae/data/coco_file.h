// COCO's JSON: images, categories, and objects as boxes, polygons and run lengths; LVIS's, and what
// labelling tools export in the same manner.
//
//   const CocoFile coco("instances_train2017.json");
//   for (const CocoAnnotation& object : coco.objects_of(0)) draw(object, coco.shape(object));
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sgmae/base/file.h"
#include "sgmae/data/source.h"
#include "sgmae/image/runs.h"

namespace sgmae {

struct CocoImage {
  std::int64_t id = 0;
  std::string file_name;  // of LVIS the end of coco_url; "" where there is neither
  ImageSize size;         // 0 where it is not said
};

struct CocoCategory {
  std::int64_t id = 0;
  std::string name;
  std::optional<bool> is_thing = {};  // of panoptic documents
  std::string supercategory = {};     // "": none
};

// A box as COCO writes it; its right edge x + width may round, so that files keep what they have.
struct CocoBox {
  double x = 0, y = 0, width = 0, height = 0;  // pixels

  PixelBox pixels() const { return {x, y, x + width, y + height}; }
  bool operator==(const CocoBox&) const = default;
};

struct CocoAnnotation {
  static constexpr std::int64_t no_id = INT64_MIN;

  std::int64_t id = no_id;
  std::int32_t image = 0, category = 0;  // positions in the lists
  CocoBox box;  // as written: may be without width or height, and reach beyond the image
  double area = 0;
  bool crowd = false;
  std::uint32_t shape_at = 0;  // from `begin` on; 0: only a box
  std::uint64_t begin = 0;     // of its object in the file
};

// An annotation of a panoptic document: the PNG file of an image, and what its colours mean.
struct CocoSegments {
  struct Segment {
    std::int64_t id, category_id;
  };
  std::string file_name;
  std::vector<Segment> segments;
};

class CocoFile {
 public:
  // Reads the document once, whatever the order of its lists; kept are 80 bytes an annotation, and
  // outlines stay where they lie in the file, which is mapped. Throws Error(data), naming the entry
  // and its field, for what is no such document or has ids twice, numbers that are no pixels, or
  // run lengths that do not fill their mask.
  explicit CocoFile(const std::filesystem::path& file);

  const std::string& name() const { return name_; }  // the path
  const std::vector<CocoImage>& images() const { return images_; }
  const std::vector<CocoCategory>& categories() const { return categories_; }
  // By image, and within one in the file's order.
  const std::vector<CocoAnnotation>& annotations() const { return annotations_; }
  std::span<const CocoAnnotation> objects_of(std::int64_t image) const;
  bool is_panoptic() const { return panoptic_; }  // then annotations are for segments_of() alone

  // Safe to use from several threads.
  Shape shape(const CocoAnnotation& annotation) const;
  CocoSegments segments_of(const CocoAnnotation& annotation) const;

  // "FILE: annotations, id 17", for messages.
  std::string place(const CocoAnnotation& annotation) const;

  // What was mended (by_rule) and what was left out or is doubtful (told, lost).
  const std::vector<LeftOut>& left_out() const { return left_out_; }

 private:
  friend class CocoFileReader;
  std::string_view text() const;

  std::string name_;
  MappedFile file_;
  std::vector<CocoImage> images_;
  std::vector<CocoCategory> categories_;
  std::vector<CocoAnnotation> annotations_;
  std::vector<std::size_t> first_;  // of an image in annotations_, and the end
  std::vector<LeftOut> left_out_;
  bool panoptic_ = false;
};

}  // namespace sgmae
