// What people, or the data themselves, say is object in an image: boxes or a mask.
//
//   const auto source = open_source("/data/coco/images/train2017");
//   const ObjectMarks marks(*source, "");
//   if (const auto objects = marks.of(index, batch.source_size[i], batch.crop[i]))
//     cover = object_cover(*objects, 14, 14);
//
// docs/analysis.md says where marks are found.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sgmae/analysis/coverage.h"
#include "sgmae/data/source.h"
#include "sgmae/image/geometry.h"
#include "sgmae/image/image.h"

namespace sgmae {

struct MarkedObjects {
  std::vector<GridBox> boxes;  // in fractions of what the model sees of the image, clipped to it
  Image mask;                  // 1 where it sees object, else 0; empty where boxes are all there is
};

// How much of each patch, 0 ... 1, is object: [rows * columns].
std::vector<float> object_cover(const MarkedObjects& objects, std::int64_t rows,
                                std::int64_t columns);

// Where the marks of a data set's images are; opened once.
class ObjectMarks {
 public:
  // `where`: a folder of masks, XML or text files by the images' names; a .json file of COCO's;
  // `alpha`; `foreground`; or "" for what lies beside each image or in it. `source` must outlive
  // this. Throws Error(usage) for what is none of these and Error(data), naming file and entry, for
  // a damaged .json.
  ObjectMarks(const Source& source, const std::string& where);

  // The objects of an image of which the model sees `crop` of `size`, its upright size in pixels.
  // None where nothing is marked in the crop, or nothing says what is. Throws Error(data), naming
  // file and line or entry, for a file of marks that is damaged or belongs to an image of another
  // size.
  std::optional<MarkedObjects> of(std::int64_t index, const ImageSize& size,
                                  const CropBox& crop) const;

 private:
  // What one kind of marks says; an entry without boxes says that there is no object, nothing that
  // the image has no marks of this kind.
  using Marks =
      std::function<std::optional<MarkedObjects>(std::int64_t, const ImageSize&, const CropBox&)>;
  std::vector<Marks> marks_;  // the first that says anything counts
};

}  // namespace sgmae
