#include "sgmae/eval/objects.h"

#include <algorithm>
#include <sstream>
#include <string>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/image/decode.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

// The path with its last folder `images` renamed; empty where it has none.
fs::path in_sister_folder(const fs::path& image, const char* sister, const char* extension) {
  std::vector<fs::path> parts(image.begin(), image.end());
  const auto found = std::find(parts.rbegin(), parts.rend(), fs::path("images"));
  if (found == parts.rend()) return {};
  *found = sister;
  fs::path path;
  for (const fs::path& part : parts) path /= part;
  return path.replace_extension(extension);
}

std::vector<GridBox> read_boxes(const fs::path& file) {
  std::istringstream lines(read_text(file, ExitCode::data));
  std::vector<GridBox> boxes;
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    std::istringstream fields(line);
    double kind = 0, x = 0, y = 0, width = 0, height = 0;
    fields >> kind >> x >> y >> width >> height;
    check(fields && width > 0 && height > 0 && x >= 0 && x <= 1 && y >= 0 && y <= 1, ExitCode::data,
          file.string(), ":", number,
          ": not a YOLO box; a line is `class cx cy width height` with fractions of the image");
    boxes.push_back({x - width / 2, y - height / 2, x + width / 2, y + height / 2});
  }
  return boxes;
}

// The part of the mask that the model sees.
Image read_mask(const fs::path& file, const ImageSize& source, const CropBox& crop) {
  try {
    const std::vector<std::uint8_t> bytes = read_file(file);
    const ImageInfo info = read_image_info(bytes);
    check(info.size == source, ExitCode::data, "the mask is ", info.size.width, "x",
          info.size.height, " pixels but its image ", source.width, "x", source.height);
    Image mask;
    decode_image(bytes, info, crop, 1, mask);
    return mask;
  } catch (const Error& error) {
    fail(ExitCode::data, "cannot use ", file.string(), ": ", error.what());
  }
}

// The smallest box around all of the mask, in fractions; none for an empty mask.
std::optional<GridBox> box_of(const Image& mask) {
  int left = mask.width, top = mask.height, right = -1, bottom = -1;
  for (int y = 0; y < mask.height; ++y)
    for (int x = 0; x < mask.width; ++x)
      if (mask.pixels[static_cast<std::size_t>(y) * mask.width + x]) {
        left = std::min(left, x);
        right = std::max(right, x);
        top = std::min(top, y);
        bottom = std::max(bottom, y);
      }
  if (right < 0) return {};
  const double width = mask.width, height = mask.height;
  return GridBox{left / width, top / height, (right + 1) / width, (bottom + 1) / height};
}

// The box, in fractions of the whole image, as fractions of the crop; none where they do not meet.
std::optional<GridBox> in_crop(const GridBox& box, const ImageSize& source, const CropBox& crop) {
  const auto across = [&](double x) {
    return std::clamp((x * source.width - crop.x) / crop.width, 0.0, 1.0);
  };
  const auto down = [&](double y) {
    return std::clamp((y * source.height - crop.y) / crop.height, 0.0, 1.0);
  };
  const GridBox seen{across(box.left), down(box.top), across(box.right), down(box.bottom)};
  if (seen.left >= seen.right || seen.top >= seen.bottom) return {};
  return seen;
}

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return !path.empty() && fs::is_regular_file(path, ignored);
}

}  // namespace

std::optional<MarkedObjects> read_objects(const fs::path& image, const ImageSize& source,
                                          const CropBox& crop) {
  MarkedObjects objects;
  const fs::path stem = image.parent_path() / image.stem();
  for (const fs::path& file :
       {in_sister_folder(image, "masks", ".png"), fs::path(stem.string() + "_mask.png")})
    if (is_file(file)) {
      objects.mask = read_mask(file, source, crop);
      const auto box = box_of(objects.mask);
      if (!box) return {};
      objects.boxes = {*box};
      return objects;
    }
  for (const fs::path& file :
       {in_sister_folder(image, "labels", ".txt"), fs::path(stem.string() + ".txt")})
    if (is_file(file)) {
      for (const GridBox& box : read_boxes(file))
        if (const auto seen = in_crop(box, source, crop)) objects.boxes.push_back(*seen);
      break;
    }
  if (objects.boxes.empty()) return {};
  return objects;
}

std::vector<float> object_cover(const MarkedObjects& objects, std::int64_t rows,
                                std::int64_t columns) {
  const Image& mask = objects.mask;
  if (mask.pixels.empty()) {
    std::vector<GridBox> boxes;
    for (const GridBox& box : objects.boxes)
      boxes.push_back({box.left * static_cast<double>(columns), box.top * static_cast<double>(rows),
                       box.right * static_cast<double>(columns),
                       box.bottom * static_cast<double>(rows)});
    return box_cover(boxes, rows, columns);
  }
  std::vector<float> object(static_cast<std::size_t>(rows * columns), 0.0f), area = object;
  for (int y = 0; y < mask.height; ++y)
    for (int x = 0; x < mask.width; ++x) {
      const std::int64_t patch = y * rows / mask.height * columns + x * columns / mask.width;
      area[patch] += 1;
      object[patch] += mask.pixels[static_cast<std::size_t>(y) * mask.width + x] ? 1 : 0;
    }
  for (std::size_t i = 0; i < object.size(); ++i) object[i] /= std::max(area[i], 1.0f);
  return object;
}

}  // namespace sgmae
