#include "sgmae/eval/object_files.h"

#include <string>
#include <utility>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/data/voc_file.h"
#include "sgmae/data/yolo_file.h"
#include "sgmae/eval/outline.h"
#include "sgmae/image/decode.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

GridBox grid_box(const PixelBox& box) {
  return {box.left, box.top, box.right, box.bottom};
}

}  // namespace

MarkedObjects seen_of_mask(const Image& mask, const CropBox& crop) {
  MarkedObjects seen;
  seen.mask = {crop.width, crop.height, 1, {}};
  const ImageView part = sgmae::crop(view(mask), crop);
  for (int y = 0; y < part.height; ++y)
    seen.mask.pixels.insert(seen.mask.pixels.end(), part.row(y), part.row(y) + part.width);
  if (const auto box = box_around(seen.mask)) seen.boxes = {*box};
  return seen;
}

Image read_marked_pixels(const fs::path& file, const ImageSize& size, const CropBox& crop) {
  try {
    const std::vector<std::uint8_t> bytes = read_file(file, ExitCode::data, max_image_bytes);
    const ImageInfo info = read_image_info(bytes);
    check(info.size == size, ExitCode::data, "the mask is ", info.size.width, "x", info.size.height,
          " pixels but its image ", size.width, "x", size.height);
    Image pixels;
    decode_image(bytes, info, crop, 3, pixels);
    return pixels;
  } catch (const Error& error) {
    fail(ExitCode::data, "cannot use ", file.string(), ": ", error.what());
  }
}

MarkedObjects read_mask_file(const fs::path& file, const ImageSize& size, const CropBox& crop) {
  // Not in grey, where the nearly black colours that numbers of objects often are would be 0.
  const std::vector<std::uint8_t> colours = read_marked_pixels(file, size, crop).pixels;
  Image mask{crop.width, crop.height, 1, {}};
  for (std::size_t i = 0; i < colours.size(); i += 3)
    mask.pixels.push_back(colours[i] || colours[i + 1] || colours[i + 2]);
  return seen_of_mask(mask, whole(mask.size()));
}

MarkedObjects read_yolo_file(const fs::path& file, const ImageSize& size, const CropBox& crop) {
  std::vector<Outline> outlines;
  for (const YoloObject& object : parse_yolo(read_text(file, ExitCode::data), file.string())) {
    Outline outline;
    std::vector<double> points = outline_of(object, size);
    if (points.empty()) {
      const PixelBox box = box_of(object, size);
      check(box.left < box.right && box.top < box.bottom, ExitCode::data, file.string(), ":",
            object.line, ": a box without an inside");
      outline.box = grid_box(box);
    } else {
      outline.shape.polygons.push_back(std::move(points));
    }
    outlines.push_back(std::move(outline));
  }
  return seen_of(outlines, size, crop);
}

MarkedObjects read_voc_file(const fs::path& file, const ImageSize& size, const CropBox& crop) {
  const VocFile voc = parse_voc(read_text(file, ExitCode::data), file.string());
  check(voc.size == ImageSize{} || voc.size == size, ExitCode::data, file.string(), ":",
        voc.size_line, ": the marks are of an image of ", voc.size.width, "x", voc.size.height,
        " pixels, but theirs is ", size.width, "x", size.height);
  std::vector<Outline> outlines;
  for (const VocObject& object : voc.objects) {
    check(object.box.left < object.box.right && object.box.top < object.box.bottom, ExitCode::data,
          file.string(), ":", object.line, ": a <bndbox> that ends before it begins");
    outlines.push_back({{}, grid_box(object.box)});
  }
  return seen_of(outlines, size, crop);
}

MarkedObjects read_object_file(const fs::path& file, const ImageSize& size, const CropBox& crop) {
  if (file.extension() == ".xml") return read_voc_file(file, size, crop);
  if (file.extension() == ".txt") return read_yolo_file(file, size, crop);
  return read_mask_file(file, size, crop);
}

}  // namespace sgmae
