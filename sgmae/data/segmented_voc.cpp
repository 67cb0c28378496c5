// Pascal VOC's segmentation: JPEGImages/, SegmentationClass/ and ImageSets/Segmentation/train.txt.
#include <algorithm>
#include <sstream>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/data/file_type.h"
#include "sgmae/data/files.h"
#include "sgmae/data/labels.h"
#include "sgmae/data/left_out.h"
#include "sgmae/data/segmented_formats.h"
#include "sgmae/data/split.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

constexpr const char* names[] = {
    "background", "aeroplane", "bicycle",     "bird",  "boat",        "bottle", "bus",
    "car",        "cat",       "chair",       "cow",   "diningtable", "dog",    "horse",
    "motorbike",  "person",    "pottedplant", "sheep", "sofa",        "train",  "tvmonitor"};

}  // namespace

std::optional<fs::path> find_voc_segmentation(const fs::path& path) {
  std::vector<fs::path> folders{path};
  // The latest year.
  for (const fs::path& above : {path, path / "VOCdevkit"}) {
    if (!is_folder(above)) continue;
    auto entries = list_folder(above);
    std::reverse(entries.begin(), entries.end());
    for (const auto& [name, is_a_folder] : entries)
      if (is_a_folder && name.starts_with("VOC20")) folders.push_back(above / name);
  }
  for (const fs::path& folder : folders)
    if (is_folder(folder / "SegmentationClass") && is_folder(folder / "JPEGImages")) return folder;
  return {};
}

LabelledFiles list_voc_segmentation(const fs::path& folder, const std::string& split) {
  const auto list = file_of_split(folder / "ImageSets" / "Segmentation", split, ".txt");
  check(list.has_value(), ExitCode::data, "there is no ",
        (folder / "ImageSets" / "Segmentation" / (split + ".txt")).string(),
        ", which lists the images of '", split, "'");
  LabelledFiles found;
  std::istringstream lines(read_text(*list, ExitCode::data));
  for (std::string line; std::getline(lines, line);) {
    const std::string name = trimmed(line);
    if (name.empty()) continue;
    fs::path image = folder / "JPEGImages" / (name + ".jpg");
    for (const char* other : {".JPG", ".jpeg", ".png"})
      if (!is_file(image) && is_file(folder / "JPEGImages" / (name + other)))
        image = folder / "JPEGImages" / (name + other);
    fs::path labels = folder / "SegmentationClass" / (name + ".png");
    if (!is_file(image))
      add_left_out(found.left_out, "listed images that are not there", LeftOut::Weight::lost,
                   image.string());
    else if (!is_file(labels))
      add_left_out(found.left_out, "images without labels", LeftOut::Weight::lost, image.string());
    else
      found.files.push_back({std::move(image), std::move(labels)});
  }
  check(!found.files.empty(), ExitCode::data, list->string(),
        " lists no image that is there with its labels");
  found.format = "Pascal VOC";
  found.class_names.assign(std::begin(names), std::end(names));
  found.class_of = classes_from(0, static_cast<std::int64_t>(std::size(names)), {unlabelled_pixel});
  return found;
}

}  // namespace sgmae
