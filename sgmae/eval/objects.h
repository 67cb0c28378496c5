// What people marked in an image: boxes or a mask in a file beside it.
//
//   images/train/1.jpg   the image
//   labels/train/1.txt   YOLO boxes, one a line: class cx cy width height, as fractions of the
//   image masks/train/1.png    or a mask: what is not 0 is object
//
// Without a folder `images` in the path, 1.txt or 1_mask.png in the image's own folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "sgmae/analysis/coverage.h"
#include "sgmae/image/geometry.h"
#include "sgmae/image/image.h"

namespace sgmae {

struct MarkedObjects {
  std::vector<GridBox> boxes;  // in fractions of what the model sees of the image, clipped to it
  Image mask;                  // what the model sees of the mask; empty where there are only boxes
};

// The objects of an image of which the model sees `crop` of `source` pixels. None where no file
// lies beside the image, or it marks nothing inside the crop. Throws Error(data), naming file and
// line, for a file that is neither.
std::optional<MarkedObjects> read_objects(const std::filesystem::path& image,
                                          const ImageSize& source, const CropBox& crop);

// How much of each patch, 0 ... 1, is object: [rows * columns].
std::vector<float> object_cover(const MarkedObjects& objects, std::int64_t rows,
                                std::int64_t columns);

}  // namespace sgmae
