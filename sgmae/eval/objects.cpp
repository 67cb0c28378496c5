#include "sgmae/eval/objects.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <numeric>
#include <set>
#include <string>
#include <utility>

#include "sgmae/base/error.h"
#include "sgmae/base/log.h"
#include "sgmae/data/files.h"
#include "sgmae/eval/coco_objects.h"
#include "sgmae/eval/object_files.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

fs::path path_of(const Source& source, std::int64_t index) {
  return fs::absolute(source.name(index)).lexically_normal();
}

std::vector<fs::path> mask_places(const fs::path& image) {
  const fs::path stem = image.parent_path() / image.stem();
  return {in_sister_folder(image, "images", "masks", ".png"), stem.string() + "_mask.png"};
}

std::vector<fs::path> voc_places(const fs::path& image) {
  return {in_sister_folder(image, "JPEGImages", "Annotations", ".xml"),
          in_sister_folder(image, "images", "Annotations", ".xml")};
}

std::vector<fs::path> yolo_places(const fs::path& image) {
  return {in_sister_folder(image, "images", "labels", ".txt"),
          fs::path(image).replace_extension(".txt")};
}

// The first file of `places` that exists.
auto beside(const Source& source, std::vector<fs::path> (*places)(const fs::path&)) {
  return [&source, places](std::int64_t index, const ImageSize& size,
                           const CropBox& crop) -> std::optional<MarkedObjects> {
    for (const fs::path& file : places(path_of(source, index)))
      if (is_file(file)) return read_object_file(file, size, crop);
    return {};
  };
}

auto of_coco(CocoObjects objects) {
  return
      [objects = std::move(objects)](std::int64_t index, const ImageSize& size,
                                     const CropBox& crop) { return objects.of(index, size, crop); };
}

// The images of each folder that has a document in COCO's layout, by document.
std::map<fs::path, std::vector<std::int64_t>> coco_beside(const Source& source) {
  std::map<fs::path, std::vector<std::int64_t>> folders, documents;
  for (std::int64_t i = 0; i < source.size(); ++i)
    folders[fs::path(source.name(i)).parent_path()].push_back(i);
  for (auto& [folder, images] : folders)
    if (is_folder(folder))  // not for members of an archive
      if (const auto document = coco_document_of(folder)) documents[*document] = std::move(images);
  return documents;
}

// Files in one folder by the images' names.
class NamedFiles {
 public:
  NamedFiles(const Source& source, fs::path folder) : source_(&source), folder_(std::move(folder)) {
    const std::size_t common = common_folder(source);
    std::set<std::string> stems;
    for (std::int64_t i = 0; i < source.size(); ++i) {
      const fs::path below_root = source.name(i).substr(common);
      parts_.push_back(std::distance(below_root.begin(), below_root.end()));
      std::string stem = below_root.stem().string();
      if (!stems.insert(stem).second) shared_.insert(std::move(stem));
    }
  }

  std::optional<MarkedObjects> operator()(std::int64_t index, const ImageSize& size,
                                          const CropBox& crop) {
    const auto file = file_of(index);
    if (!file) return {};
    return read_object_file(*file, size, crop);
  }

 private:
  // By as much of the image's path as there is a file for. Less than its path below the data set's
  // root may be the path of other images too.
  std::optional<fs::path> file_of(std::int64_t index) {
    const fs::path image = path_of(*source_, index).relative_path().replace_extension();
    auto part = image.begin();
    for (auto left = std::distance(part, image.end());
         left >= parts_[static_cast<std::size_t>(index)]; --left, ++part)
      if (const auto file = existing(part, image.end())) return file;
    const auto file = existing(std::prev(image.end()), image.end());
    if (!file || !shared_.contains(image.filename().string())) return file;
    if (!std::exchange(warned_, true))
      warn("objects: ", file->string(), " may be of several images, and so counts for none; ",
           folder_.string(), " must have the folders of the images");
    return {};
  }

  std::optional<fs::path> existing(fs::path::iterator part, const fs::path::iterator& end) const {
    fs::path path = folder_;
    for (; part != end; ++part) path /= *part;
    for (const char* extension : {".png", ".xml", ".txt"})
      if (fs::path file = path.string() + extension; is_file(file)) return file;
    return {};
  }

  const Source* source_;
  fs::path folder_;
  std::vector<std::ptrdiff_t> parts_;  // of each image's path below the root
  std::set<std::string> shared_;       // names of files, without ending, that several images have
  bool warned_ = false;
};

// What the pixels of the images themselves say: `look` makes a mask of a whole image, or nothing.
// One that is the same everywhere tells nothing apart.
template <class Look>
auto of_pixels(const Source& source, const Look& look) {
  return [&source, look](std::int64_t index, const ImageSize& size,
                         const CropBox& crop) -> std::optional<MarkedObjects> {
    try {
      OpenedImage opened;
      source.open(index, opened);
      check(opened.size == size, ExitCode::data, "its size has changed since it was read");
      const std::optional<Image> mask = look(opened);
      if (!mask || std::adjacent_find(mask->pixels.begin(), mask->pixels.end(),
                                      std::not_equal_to<>()) == mask->pixels.end())
        return {};
      return seen_of_mask(*mask, crop);
    } catch (const Error& error) {
      fail(ExitCode::data, "cannot use ", source.name(index), ": ", error.what());
    }
  };
}

std::optional<Image> opaque(const OpenedImage& opened) {
  if (opened.raw.data != nullptr) return {};
  std::optional<Image> alpha = decode_alpha(opened.bytes, opened.info);
  if (alpha)
    for (std::uint8_t& pixel : alpha->pixels) pixel = pixel >= 128;
  return alpha;
}

std::optional<Image> above_zero(const OpenedImage& opened) {
  if ((opened.raw.data != nullptr ? opened.raw.channels : opened.info.channels) > 2) return {};
  Image buffer;
  const ImageView grey = decode(opened, whole(opened.size), 1, buffer);
  Image mask{grey.width, grey.height, 1, {}};
  for (int y = 0; y < grey.height; ++y)
    for (int x = 0; x < grey.width; ++x) mask.pixels.push_back(grey.row(y)[x] > 0);
  return mask;
}

// Photographs are seldom 0 anywhere; what data sets store as plain grey pixels often is.
std::optional<Image> raw_above_zero(const OpenedImage& opened) {
  if (opened.raw.data == nullptr) return {};
  return above_zero(opened);
}

}  // namespace

ObjectMarks::ObjectMarks(const Source& source, const std::string& where) {
  const fs::path path = where;
  if (where.empty()) {
    marks_.push_back(beside(source, mask_places));
    for (const auto& [document, images] : coco_beside(source))
      marks_.push_back(of_coco(CocoObjects(document, source, images)));
    marks_.push_back(beside(source, voc_places));
    marks_.push_back(beside(source, yolo_places));
    marks_.push_back(of_pixels(source, opaque));
    marks_.push_back(of_pixels(source, raw_above_zero));
  } else if (where == "alpha") {
    marks_.push_back(of_pixels(source, opaque));
  } else if (where == "foreground") {
    marks_.push_back(of_pixels(source, above_zero));
  } else if (is_folder(path)) {
    marks_.push_back(NamedFiles(source, path));
  } else {
    check(is_file(path) && path.extension() == ".json", ExitCode::usage, "objects: ", where,
          is_file(path) ? " is not a .json file" : " does not exist",
          "; give a folder of masks by the images' names, a .json file in COCO's format, alpha or "
          "foreground; empty: what lies beside the images. To measure without objects, leave "
          "the metric objects out of --metrics");
    std::vector<std::int64_t> images(static_cast<std::size_t>(source.size()));
    std::iota(images.begin(), images.end(), std::int64_t{0});
    marks_.push_back(of_coco(CocoObjects(path, source, images)));
  }
}

std::optional<MarkedObjects> ObjectMarks::of(std::int64_t index, const ImageSize& size,
                                             const CropBox& crop) const {
  for (const Marks& marks : marks_)
    if (auto objects = marks(index, size, crop)) {
      if (objects->boxes.empty()) return {};
      return objects;
    }
  return {};
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
