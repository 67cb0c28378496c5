// Files that mark the objects of one image. Each function gives what the model sees of them in
// `crop` of an image of `size` (upright pixels): no boxes where it sees none. Throws Error(data),
// naming file and line, for a file that is damaged or of an image of another size.
#pragma once

#include <filesystem>

#include "sgmae/eval/objects.h"

namespace sgmae {

// An image of the same size: what is not black is object, of any colour. One box around all of it.
MarkedObjects read_mask_file(const std::filesystem::path& file, const ImageSize& size,
                             const CropBox& crop);

// YOLO's text, an object a line: `class cx cy width height`, perhaps with a confidence, or
// `class x0 y0 x1 y1 x2 y2 …`, its outline; in fractions of the image.
MarkedObjects read_yolo_file(const std::filesystem::path& file, const ImageSize& size,
                             const CropBox& crop);

// Pascal VOC's XML: the bndbox of every object. Its coordinates count pixels from 1 and include
// the last, so that xmin 1, xmax 640 are all of 640 pixels.
MarkedObjects read_voc_file(const std::filesystem::path& file, const ImageSize& size,
                            const CropBox& crop);

// One of these by the file's ending: .png, .txt, .xml.
MarkedObjects read_object_file(const std::filesystem::path& file, const ImageSize& size,
                               const CropBox& crop);

// The part of an image of marks that the model sees, in colour.
Image read_marked_pixels(const std::filesystem::path& file, const ImageSize& size,
                         const CropBox& crop);

// The part of a mask of the whole image that the model sees; one box around it.
MarkedObjects seen_of_mask(const Image& mask, const CropBox& crop);

}  // namespace sgmae
