#include "sgmae/eval/coco_objects.h"

#include <algorithm>
#include <unordered_map>

#include "sgmae/base/error.h"
#include "sgmae/base/log.h"
#include "sgmae/eval/object_files.h"
#include "sgmae/image/decode.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

std::string file_name(const std::string& path) {
  return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
}

// Where COCO's archives, or who unpacks them, put the PNG files of a panoptic document.
std::optional<fs::path> segments_folder(const fs::path& document) {
  const std::string stem = document.stem().string();
  const std::string part = stem.substr(stem.starts_with("panoptic_") ? 9 : 0);
  const fs::path here = fs::absolute(document).lexically_normal().parent_path();
  std::error_code ignored;
  for (const fs::path& base : {here, here.parent_path()})
    for (const fs::path& folder : {base / stem, base / "panoptic" / part})
      if (fs::is_directory(folder, ignored)) return folder;
  return {};
}

// Positions by name; `several` where a name has more than one.
constexpr std::int64_t several = -1;
using Names = std::unordered_map<std::string, std::int64_t>;

void note(Names& names, const std::string& name, std::int64_t position) {
  const auto [known, is_new] = names.emplace(name, position);
  if (!is_new) known->second = several;
}

}  // namespace

CocoObjects::CocoObjects(const fs::path& file, const Source& source,
                         std::span<const std::int64_t> images)
    : file_([&] {
        info("objects: reading ", file.string());
        return std::make_shared<const CocoFile>(file);
      }()) {
  constexpr auto expected =
      "; expected COCO's instances_….json or panoptic_….json, which list images and annotations";
  check(!file_->images().empty(), ExitCode::data, file_->name(), " lists no images", expected);
  check(!file_->annotations().empty(), ExitCode::data, file_->name(), " lists no annotations",
        expected);
  if (const std::string doubtful = describe(file_->left_out(), LeftOut::Weight::told);
      !doubtful.empty())
    warn("objects: ", file_->name(), ": ", doubtful);
  for (const auto& [image, listed] : match(source, images)) {
    Entry entry{listed, {}, {}};
    if (file_->is_panoptic()) find_segments(entry);
    entries_.emplace(image, std::move(entry));
  }
}

// Of images of the source those that are listed once, with their positions in the document.
std::map<std::int64_t, std::int64_t> CocoObjects::match(
    const Source& source, std::span<const std::int64_t> images) const {
  Names image_by_name, by_path, by_name;
  for (const std::int64_t image : images) note(image_by_name, file_name(source.name(image)), image);
  for (std::size_t i = 0; i < file_->images().size(); ++i) {
    const std::string path =
        fs::path(file_->images()[i].file_name).lexically_normal().generic_string();
    const std::string name = file_name(path);
    if (!image_by_name.contains(name)) continue;
    note(by_path, path, static_cast<std::int64_t>(i));
    note(by_name, name, static_cast<std::int64_t>(i));
  }
  // The listed image whose name is the end of this path, the longest first; or else the only one
  // with the same file's name, where the source has that once as well.
  const auto find = [&](const std::string& path) -> std::optional<std::int64_t> {
    std::size_t slash = 0;
    for (std::string end = path; slash != std::string::npos; end.erase(0, slash + 1)) {
      if (const auto found = by_path.find(end); found != by_path.end()) return found->second;
      slash = end.find('/');
    }
    const std::string name = file_name(path);
    const auto found = by_name.find(name);
    if (found == by_name.end()) return {};
    return image_by_name.at(name) == several ? several : found->second;
  };
  std::map<std::int64_t, std::vector<std::int64_t>> images_of;  // by position in the document
  std::int64_t missing = 0, ambiguous = 0;
  for (const std::int64_t image : images) {
    const auto position = find(source.name(image));
    missing += !position;
    ambiguous += position == several;
    if (position && *position != several) images_of[*position].push_back(image);
  }
  std::map<std::int64_t, std::int64_t> listed;
  for (const auto& [position, of] : images_of) {
    if (of.size() == 1)
      listed.emplace(of.front(), position);
    else
      ambiguous += static_cast<std::int64_t>(of.size());
  }
  if (missing + ambiguous > 0)
    warn("objects: without marks are ", missing, " of ", images.size(), " images that ",
         file_->name(), " does not list, and ", ambiguous, " whose names may mean several");
  return listed;
}

void CocoObjects::find_segments(Entry& entry) const {
  const auto annotations = file_->objects_of(entry.listed);
  if (annotations.empty()) return;
  const auto folder = segments_folder(file_->name());
  check(folder.has_value(), ExitCode::data, file_->name(),
        " needs the PNG files of its segments; unpack them to ",
        fs::path(file_->name()).stem().string(), "/ beside it");
  const CocoSegments found = file_->segments_of(annotations.front());
  entry.segments = *folder / found.file_name;
  for (const auto& [id, category_id] : found.segments) {
    const auto category = std::find_if(file_->categories().begin(), file_->categories().end(),
                                       [&](const auto& each) { return each.id == category_id; });
    check(category != file_->categories().end() && category->is_thing, ExitCode::data,
          file_->name(), ": ", found.file_name, ": 'categories' does not say whether category ",
          category_id, " is a thing (isthing)");
    check(id >= 0 && id < 1 << 24, ExitCode::data, file_->name(), ": ", found.file_name,
          ": a segment's id is ", id, ", which is no colour");
    if (*category->is_thing) entry.things.push_back(static_cast<std::uint32_t>(id));
  }
  std::sort(entry.things.begin(), entry.things.end());
}

std::optional<MarkedObjects> CocoObjects::of(std::int64_t index, const ImageSize& size,
                                             const CropBox& crop) const {
  const auto found = entries_.find(index);
  if (found == entries_.end()) return {};
  const Entry& entry = found->second;
  const CocoImage& listed = file_->images()[static_cast<std::size_t>(entry.listed)];
  check(listed.size == ImageSize{} || listed.size == size, ExitCode::data, file_->name(), ": ",
        listed.file_name, " is said to be ", listed.size.width, "x", listed.size.height,
        " pixels, but the image is ", size.width, "x", size.height);
  return entry.segments.empty() ? sgmae::seen_of(outlines_of(entry, size), size, crop)
                                : seen_of_segments(entry, size, crop);
}

std::vector<Outline> CocoObjects::outlines_of(const Entry& entry, const ImageSize& size) const {
  std::vector<Outline> outlines;
  for (const CocoAnnotation& annotation : file_->objects_of(entry.listed)) {
    const PixelBox box = annotation.box.pixels();
    Outline outline{file_->shape(annotation), {box.left, box.top, box.right, box.bottom}};
    const ImageSize of_runs = outline.shape.runs.size;
    check(outline.shape.runs.counts.empty() || of_runs == size, ExitCode::data, file_->name(), ": ",
          file_->place(annotation), ": run lengths of ", of_runs.width, "x", of_runs.height,
          " pixels for an image of ", size.width, "x", size.height);
    outlines.push_back(std::move(outline));
  }
  return outlines;
}

MarkedObjects CocoObjects::seen_of_segments(const Entry& entry, const ImageSize& size,
                                            const CropBox& crop) const {
  const Image colours = read_marked_pixels(entry.segments, size, crop);
  const double width = crop.width, height = crop.height;
  MarkedObjects seen;
  seen.mask = {crop.width, crop.height, 1, {}};
  std::vector<GridBox> extent(entry.things.size(), GridBox{width, height, 0, 0});
  const std::uint8_t* pixel = colours.pixels.data();
  for (int y = 0; y < crop.height; ++y)
    for (int x = 0; x < crop.width; ++x, pixel += 3) {
      const std::uint32_t segment = pixel[0] | pixel[1] << 8 | pixel[2] << 16;
      const auto thing = std::lower_bound(entry.things.begin(), entry.things.end(), segment);
      const bool is_thing = thing != entry.things.end() && *thing == segment;
      seen.mask.pixels.push_back(is_thing);
      if (!is_thing) continue;
      GridBox& box = extent[static_cast<std::size_t>(thing - entry.things.begin())];
      box = {std::min<double>(box.left, x), std::min<double>(box.top, y),
             std::max<double>(box.right, x + 1), std::max<double>(box.bottom, y + 1)};
    }
  for (const GridBox& box : extent)
    if (box.left < box.right)
      seen.boxes.push_back(
          {box.left / width, box.top / height, box.right / width, box.bottom / height});
  return seen;
}

std::optional<fs::path> coco_document_of(const fs::path& folder) {
  const fs::path whole_path = fs::absolute(folder).lexically_normal();
  const std::string name = whole_path.filename().string();
  const fs::path above = whole_path.parent_path();
  std::error_code ignored;
  for (const char* kind : {"panoptic_", "instances_"})
    for (const fs::path& base : {above, above.parent_path()})
      for (const fs::path& place : {base, base / "annotations"}) {
        const fs::path file = place / (kind + name + ".json");
        if (fs::is_regular_file(file, ignored) &&
            (kind == std::string_view("instances_") || segments_folder(file)))
          return file;
      }
  return {};
}

}  // namespace sgmae
