#include "sgmae/eval/coco_objects.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <unordered_map>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/base/json.h"
#include "sgmae/base/log.h"
#include "sgmae/eval/object_files.h"
#include "sgmae/image/decode.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr auto wrong_kind =
    "; expected COCO's instances_….json or panoptic_….json, which list images and annotations";

// An entry of one of the document's lists.
struct Item {
  const fs::path& file;
  const std::string& list;
  std::size_t number;
  const json& value;

  template <class... Words>
  [[noreturn]] void fail(const Words&... words) const {
    sgmae::fail(ExitCode::data, file.string(), ": ", list, "[", number, "]: ", words...);
  }
  std::int64_t integer(const json& object, const char* key) const {
    const auto found = json_value<std::int64_t>(object, key);
    if (!found) fail("there is no whole number '", key, "'");
    return *found;
  }
  std::int64_t integer(const char* key) const { return integer(value, key); }
  std::string text(const char* key) const {
    const auto found = json_value<std::string>(value, key);
    if (!found) fail("there is no text '", key, "'");
    return *found;
  }
  // Coordinates or sizes, in pixels.
  std::vector<float> numbers(const json& array, const char* what) const {
    if (!array.is_array()) fail(what, " is no list of numbers");
    std::vector<float> numbers;
    for (const json& element : array) {
      const auto number = json_value<double>(element);
      if (!number || !(std::abs(*number) < 1e6)) fail(what, " is no list of numbers of pixels");
      numbers.push_back(static_cast<float>(*number));
    }
    return numbers;
  }
};

// Calls `see` with each entry of the lists of these names, and forgets it: the document may be far
// larger than what is needed of it, and the library removes entries from long lists slowly.
template <class See>
void for_each_item(const fs::path& file, const std::set<std::string>& lists, const See& see) {
  const MappedFile document(file);
  const std::span<const std::uint8_t> text = document.bytes();
  std::string list;
  std::size_t number = 0;
  const auto take = [&](int depth, json::parse_event_t event, json& value) {
    if (depth == 1 && event == json::parse_event_t::key) {
      list = value.get_ref<const std::string&>();
      number = 0;
    }
    if (depth == 2 && event == json::parse_event_t::object_start) return lists.contains(list);
    if (depth != 2 || event != json::parse_event_t::object_end) return true;
    see(Item{file, list, number++, value});
    return false;
  };
  try {
    const json rest = json::parse(text.data(), text.data() + text.size(), take);
    check(rest.is_object(), ExitCode::data, file.string(), " is no JSON object", wrong_kind);
  } catch (const json::exception& error) {
    fail(ExitCode::data, file.string(), " is damaged: ", error.what());
  }
}

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

}  // namespace

// Two passes over the document: its lists come in any order, and what is needed of annotations
// depends on images and categories.
struct CocoObjects::Reader {
  CocoObjects& objects;
  const Source& source;
  std::span<const std::int64_t> wanted;
  std::set<std::int64_t> things = {}, stuff = {};          // categories
  std::unordered_map<std::int64_t, Entry*> entry_of = {};  // by image id
  std::optional<fs::path> segments = {};
  std::int64_t annotations = 0;

  struct Listed {
    std::int64_t id = 0;
    Entry entry;
    std::vector<std::int64_t> images = {};  // of the source, that it may be
  };
  std::vector<Listed> listed = {};
  // Positions in `listed` and in the source; `several` where a name has more than one.
  static constexpr std::int64_t several = -1;
  using Names = std::unordered_map<std::string, std::int64_t>;
  Names by_path = {}, by_name = {}, image_by_name = {};

  static void note(Names& names, const std::string& name, std::int64_t position) {
    const auto [known, is_new] = names.emplace(name, position);
    if (!is_new) known->second = several;
  }

  void read() {
    for (const std::int64_t image : wanted)
      note(image_by_name, file_name(source.name(image)), image);
    std::size_t images = 0;
    for_each_item(objects.file_, {"images", "categories"}, [&](const Item& item) {
      images += item.list == "images";
      item.list == "images" ? see_image(item) : see_category(item);
    });
    check(images > 0, ExitCode::data, objects.file_.string(), " lists no images", wrong_kind);
    match();
    for_each_item(objects.file_, {"annotations"}, [&](const Item& item) {
      ++annotations;
      const auto found = entry_of.find(item.integer("image_id"));
      if (found == entry_of.end()) return;
      json_member(item.value, "segments_info").is_array() ? see_segments(item, *found->second)
                                                          : see_instance(item, *found->second);
    });
    check(annotations > 0, ExitCode::data, objects.file_.string(), " lists no annotations",
          wrong_kind);
  }

  void see_category(const Item& item) {
    const auto thing = json_value<std::int64_t>(item.value, "isthing");
    if (thing) (*thing != 0 ? things : stuff).insert(item.integer("id"));
  }

  void see_image(const Item& item) {
    const std::string path = fs::path(item.text("file_name")).lexically_normal().generic_string();
    const std::string name = file_name(path);
    if (!image_by_name.contains(name)) return;
    const auto side = [&](const char* key) {
      const auto value = json_value<std::int64_t>(item.value, key).value_or(0);
      return static_cast<int>(std::clamp<std::int64_t>(value, 0, std::numeric_limits<int>::max()));
    };
    const auto position = static_cast<std::int64_t>(listed.size());
    listed.push_back({item.integer("id"), {path, {side("width"), side("height")}, {}, {}, {}}});
    note(by_path, path, position);
    note(by_name, name, position);
  }

  // The listed image whose name is the end of this path, the longest first; or else the only one
  // with the same file's name, where the source has that once as well.
  std::optional<std::int64_t> find(const std::string& path) const {
    std::size_t slash = 0;
    for (std::string end = path; slash != std::string::npos; end.erase(0, slash + 1)) {
      if (const auto found = by_path.find(end); found != by_path.end()) return found->second;
      slash = end.find('/');
    }
    const std::string name = file_name(path);
    const auto found = by_name.find(name);
    if (found == by_name.end()) return {};
    return image_by_name.at(name) == several ? several : found->second;
  }

  void match() {
    std::int64_t missing = 0, ambiguous = 0;
    for (const std::int64_t image : wanted) {
      const auto position = find(source.name(image));
      missing += !position;
      ambiguous += position == several;
      if (position && *position != several)
        listed[static_cast<std::size_t>(*position)].images.push_back(image);
    }
    for (Listed& one : listed) {
      if (one.images.size() > 1) ambiguous += static_cast<std::int64_t>(one.images.size());
      if (one.images.size() != 1) continue;
      const auto [place, unused] =
          objects.entries_.emplace(one.images.front(), std::move(one.entry));
      check(entry_of.emplace(one.id, &place->second).second, ExitCode::data, objects.file_.string(),
            ": two images have the id ", one.id);
    }
    listed.clear();
    if (missing + ambiguous > 0)
      warn("objects: without marks are ", missing, " of ", wanted.size(), " images that ",
           objects.file_.string(), " does not list, and ", ambiguous,
           " whose names may mean several");
  }

  void see_instance(const Item& item, Entry& entry) {
    Outline outline;
    const json& shape = json_member(item.value, "segmentation");
    if (shape.is_object())
      outline.runs = runs(item, shape, entry);
    else if (shape.is_array())
      for (const json& polygon : shape) {
        outline.polygons.push_back(item.numbers(polygon, "a polygon of 'segmentation'"));
        if (outline.polygons.back().size() % 2 != 0)
          item.fail("a polygon of 'segmentation' has an odd number of coordinates");
      }
    if (outline.runs.empty() && outline.polygons.empty()) outline.box = box(item);
    entry.outlines.push_back(std::move(outline));
  }

  static GridBox box(const Item& item) {
    const json& given = json_member(item.value, "bbox");
    if (given.is_null()) item.fail("there is neither 'segmentation' nor 'bbox'", wrong_kind);
    const std::vector<float> box = item.numbers(given, "'bbox'");
    if (box.size() != 4 || box[2] < 0 || box[3] < 0)
      item.fail("'bbox' is not x, y, width and height");
    return {box[0], box[1], static_cast<double>(box[0]) + box[2],
            static_cast<double>(box[1]) + box[3]};
  }

  static std::vector<std::uint32_t> runs(const Item& item, const json& shape, Entry& entry) {
    const std::vector<float> sides = item.numbers(json_member(shape, "size"), "'size'");
    if (sides.size() != 2) item.fail("'size' is not height and width");
    const ImageSize size{static_cast<int>(sides[1]), static_cast<int>(sides[0])};
    if (entry.size == ImageSize{}) entry.size = size;
    if (size != entry.size)
      item.fail("run lengths of ", size.width, "x", size.height, " pixels for an image of ",
                entry.size.width, "x", entry.size.height);
    try {
      std::vector<std::uint32_t> runs = counts(item, json_member(shape, "counts"));
      check_runs(runs, size);
      return runs;
    } catch (const Error& error) {
      item.fail(error.what());
    }
  }

  static std::vector<std::uint32_t> counts(const Item& item, const json& counts) {
    if (counts.is_string()) return runs_of_text(counts.get_ref<const std::string&>());
    std::vector<std::uint32_t> runs;
    if (!counts.is_array()) item.fail("'counts' is neither a list nor a text");
    for (const json& count : counts) {
      const auto run = json_value<std::int64_t>(count);
      if (!run || *run < 0 || *run > std::numeric_limits<std::uint32_t>::max())
        item.fail("'counts' is no list of numbers of pixels");
      runs.push_back(static_cast<std::uint32_t>(*run));
    }
    return runs;
  }

  void see_segments(const Item& item, Entry& entry) {
    if (!segments) segments = segments_folder(objects.file_);
    check(segments.has_value(), ExitCode::data, objects.file_.string(),
          " needs the PNG files of its segments; unpack them to ", objects.file_.stem().string(),
          "/ beside it");
    entry.segments = *segments / item.text("file_name");
    for (const json& segment : item.value.at("segments_info")) {
      const std::int64_t category = item.integer(segment, "category_id");
      const std::int64_t id = item.integer(segment, "id");
      if (!things.contains(category) && !stuff.contains(category))
        item.fail("'categories' does not say whether category ", category, " is a thing (isthing)");
      if (id < 0 || id >= 1 << 24) item.fail("a segment's id is ", id, ", which is no colour");
      if (things.contains(category)) entry.things.push_back(static_cast<std::uint32_t>(id));
    }
    std::sort(entry.things.begin(), entry.things.end());
  }
};

CocoObjects::CocoObjects(const fs::path& file, const Source& source,
                         std::span<const std::int64_t> images)
    : file_(file) {
  info("objects: reading ", file.string());
  Reader{*this, source, images}.read();
}

std::optional<MarkedObjects> CocoObjects::of(std::int64_t index, const ImageSize& size,
                                             const CropBox& crop) const {
  const auto found = entries_.find(index);
  if (found == entries_.end()) return {};
  const Entry& entry = found->second;
  check(entry.size == ImageSize{} || entry.size == size, ExitCode::data, file_.string(), ": ",
        entry.name, " is said to be ", entry.size.width, "x", entry.size.height,
        " pixels, but the image is ", size.width, "x", size.height);
  return entry.segments.empty() ? sgmae::seen_of(entry.outlines, size, crop)
                                : seen_of_segments(entry, size, crop);
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
