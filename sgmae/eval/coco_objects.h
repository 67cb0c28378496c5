// Objects in COCO's JSON: instances (polygons, run lengths, boxes), or a panoptic segmentation with
// its PNG files, of which things are objects and stuff is not.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "sgmae/data/coco_file.h"
#include "sgmae/data/source.h"
#include "sgmae/eval/objects.h"
#include "sgmae/eval/outline.h"

namespace sgmae {

class CocoObjects {
 public:
  // Finds these images of the source in the document. An image is
  // found by `file_name`, which must be the end of its path, or have the name of its file alone in
  // common with it; where several fit, the image has no marks. A warning counts those and the
  // images that are not listed. Throws Error(data), naming file and entry.
  CocoObjects(const std::filesystem::path& file, const Source& source,
              std::span<const std::int64_t> images);

  // What the model sees of the objects of an image in `crop` of `size` upright pixels: no boxes
  // where it sees none. Nothing for an image that is not listed.
  std::optional<MarkedObjects> of(std::int64_t index, const ImageSize& size,
                                  const CropBox& crop) const;

 private:
  struct Entry {
    std::int64_t listed = 0;            // position in the document's images
    std::filesystem::path segments;     // of panoptic documents: the PNG whose pixels are numbers
    std::vector<std::uint32_t> things;  // those of segments that are things, ascending
  };
  std::vector<Outline> outlines_of(const Entry& entry, const ImageSize& size) const;
  MarkedObjects seen_of_segments(const Entry& entry, const ImageSize& size,
                                 const CropBox& crop) const;
  std::map<std::int64_t, std::int64_t> match(const Source& source,
                                             std::span<const std::int64_t> images) const;
  void find_segments(Entry& entry) const;

  std::shared_ptr<const CocoFile> file_;
  std::map<std::int64_t, Entry> entries_;  // by position in the source
};

// The document of the images in `folder` by COCO's layout: panoptic_NAME.json, if its PNG files
// are there, or instances_NAME.json, for a folder NAME; beside the folder or the one above, or in
// annotations/ there.
std::optional<std::filesystem::path> coco_document_of(const std::filesystem::path& folder);

}  // namespace sgmae
