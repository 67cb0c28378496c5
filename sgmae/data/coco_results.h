// Detections in COCO's format of results: a list of image_id, category_id, score, and bbox or
// segmentation.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "sgmae/base/file.h"
#include "sgmae/data/coco_file.h"

namespace sgmae {

struct CocoDetection {
  std::int32_t image = 0, category = 0;  // positions in the truth's lists
  std::uint32_t number = 0;              // in the file, from 0
  std::uint32_t shape_at = 0;            // from `begin` on; 0: only a box
  std::uint64_t begin = 0;               // of its object in the file
  double score = 0;
  bool has_box = false;
  CocoBox box;
};

class CocoResults {
 public:
  // Reads the file once; outlines stay in it. Throws Error(data), naming the detection and its
  // field, for what is no such list, a detection without what is needed of it, numbers that cannot
  // be meant, run lengths that do not fill their mask, and images that the truth does not list.
  // Detections of categories that it does not list are counted in left_out().
  CocoResults(const std::filesystem::path& file, const CocoFile& truth);

  const std::string& name() const { return name_; }
  // By image, and within one in the file's order, which decides among equal scores.
  const std::vector<CocoDetection>& detections() const { return detections_; }
  std::span<const CocoDetection> of_image(std::int64_t image) const;

  // What the first detection has decides what all are, as in pycocotools: boxes, whose area counts,
  // or else masks.
  bool are_boxes() const { return boxes_; }
  Shape shape(const CocoDetection& detection) const;  // safe to use from several threads
  const std::vector<LeftOut>& left_out() const { return left_out_; }

 private:
  std::string_view text() const;
  void read(const CocoFile& truth);

  std::string name_;
  MappedFile file_;
  std::vector<CocoDetection> detections_;
  std::vector<std::size_t> first_;  // of an image in detections_, and the end
  std::vector<LeftOut> left_out_;
  bool boxes_ = true;
};

}  // namespace sgmae
