#include "sgmae/data/coco_file.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <unordered_map>
#include <utility>

#include "sgmae/base/error.h"
#include "sgmae/data/coco_fields.h"

namespace sgmae {
namespace {

using Kind = JsonReader::Kind;

constexpr auto wrong_kind =
    "; expected COCO's instances_….json, which lists images, categories and annotations";

CocoBox box_around(const Shape& shape) {
  if (!shape.runs.counts.empty()) {
    const CropBox box = box_around(shape.runs);
    return {static_cast<double>(box.x), static_cast<double>(box.y), static_cast<double>(box.width),
            static_cast<double>(box.height)};
  }
  double left = largest_coordinate, top = left, right = -left, bottom = -left;
  for (const std::vector<double>& points : shape.polygons)
    for (std::size_t i = 0; i < points.size(); i += 2) {
      left = std::min(left, points[i]);
      right = std::max(right, points[i]);
      top = std::min(top, points[i + 1]);
      bottom = std::max(bottom, points[i + 1]);
    }
  return {left, top, right - left, bottom - top};
}

std::string text_of(JsonReader& json, const char* field) {
  if (json.kind() != Kind::text) throw WrongField{str("'", field, "' is no text")};
  return std::string(json.text());
}

// LVIS names images by where they are to be had, http://…/train2017/000000391895.jpg.
std::string end_of_url(const std::string& url) {
  const std::size_t slash = url.rfind('/');
  if (slash == std::string::npos || slash == 0) return url;
  const std::size_t before = url.rfind('/', slash - 1);
  return url.substr(before == std::string::npos ? 0 : before + 1);
}

}  // namespace

class CocoFileReader {
 public:
  explicit CocoFileReader(CocoFile& file)
      : file_(file), text_(file.text()), json_(text_, file.name_), pages_(text_) {}

  void read() {
    if (json_.kind() == Kind::array) fail_here("is a list, as detections are");
    if (json_.kind() != Kind::object) fail_here("is no JSON object");
    std::set<std::string, std::less<>> read;
    json_.object([&](std::string_view key) {
      const std::string list(key);
      if (key != "images" && key != "categories" && key != "annotations") return json_.skip();
      check(read.insert(list).second, ExitCode::data, file_.name_, " has two lists '", key, "'");
      if (json_.kind() != Kind::array) fail_here(str("has no list '", key, "'"));
      std::size_t number = 0;
      json_.array([&] {
        read_entry(list, number++);
        pages_.forget_up_to(json_.position());
      });
    });
    json_.finish();
    for (const char* list : {"images", "categories", "annotations"})
      if (!read.contains(list)) fail_here(str("lists no ", list));
    place_annotations();
    complete_annotations();
    file_.left_out_ = notes_.left_out();
  }

 private:
  [[noreturn]] void fail_here(const std::string& what) const {
    fail(ExitCode::data, file_.name_, " ", what, wrong_kind);
  }

  // An entry is known by its id, which may come after what is wrong with it.
  void read_entry(const std::string& list, std::size_t number) {
    const std::size_t begin = json_.position();
    std::string why;
    try {
      if (json_.kind() != Kind::object) throw WrongField{"it is no JSON object"};
      list == "images" ? read_image() : list == "categories" ? read_category() : read_annotation();
      return;
    } catch (const WrongField& field) {
      why = field.why;
    }
    std::string id;
    JsonReader again(text_, file_.name_, begin);
    if (again.kind() == Kind::object)
      again.object([&](std::string_view key) {
        if (key == "id" && again.kind() == Kind::number)
          id = str(" (id ", again.number_text(), ")");
        else if (key == "id" && again.kind() == Kind::text)
          id = str(" (id '", again.text().substr(0, 80), "')");
        else
          again.skip();
      });
    fail(ExitCode::data, file_.name_, ": ", list, "[", number, "]", id, ": ", why);
  }

  template <class... Arguments>
  auto mended(const Arguments&... arguments) {
    return [&, arguments...](auto reader) {
      bool as_text = false;
      const auto value = reader(json_, arguments..., as_text);
      if (as_text)
        notes_.add(CocoNotes::number_as_text,
                   [&] { return str("before byte ", json_.position()); });
      return value;
    };
  }
  std::int64_t whole(const char* field) { return mended(field)(whole_of); }
  bool flag(const char* field) { return mended(field)(flag_of); }

  static std::int64_t needed(const std::optional<std::int64_t>& id, const char* field) {
    if (!id) throw WrongField{str("there is no whole number '", field, "'")};
    return *id;
  }

  void read_image() {
    CocoImage image;
    std::optional<std::int64_t> id;
    std::string url;
    const auto side = [&](const char* field) {
      if (json_.kind() == Kind::null) return json_.skip(), 0;
      const std::int64_t pixels = whole(field);
      if (pixels < 0 || pixels > static_cast<std::int64_t>(largest_coordinate))
        throw WrongField{str("'", field, "' is no number of pixels")};
      return static_cast<int>(pixels);
    };
    json_.object([&](std::string_view key) {
      if (key == "id")
        id = whole("id");
      else if (key == "file_name")
        image.file_name = text_of(json_, "file_name");
      else if (key == "coco_url" && json_.kind() == Kind::text)
        url = json_.text();
      else if (key == "width")
        image.size.width = side("width");
      else if (key == "height")
        image.size.height = side("height");
      else
        json_.skip();
    });
    image.id = needed(id, "id");
    if (image.file_name.empty()) image.file_name = end_of_url(url);
    if (image.file_name.empty())
      notes_.add(CocoNotes::no_file_name, [&] { return str("image ", image.id); });
    file_.images_.push_back(std::move(image));
  }

  void read_category() {
    CocoCategory category;
    std::optional<std::int64_t> id;
    json_.object([&](std::string_view key) {
      if (key == "id")
        id = whole("id");
      else if (key == "name" && json_.kind() == Kind::text)
        category.name = json_.text();
      else if (key == "supercategory" && json_.kind() == Kind::text)
        category.supercategory = json_.text();
      else if (key == "isthing")
        category.is_thing = flag("isthing");
      else
        json_.skip();
    });
    category.id = needed(id, "id");
    if (category.name.empty()) category.name = str(category.id);
    file_.categories_.push_back(std::move(category));
  }

  // For the time being an annotation's image and category are ids, kept aside.
  struct Ids {
    std::int64_t image, category;
  };
  struct RunsSize {
    std::size_t annotation;
    ImageSize size;
  };

  void read_annotation() {
    constexpr double most_area = largest_coordinate * largest_coordinate;
    CocoAnnotation annotation;
    std::optional<std::int64_t> image, category;
    std::optional<bool> crowd;
    bool has_box = false, has_area = false, is_segments = false;
    ScannedShape shape;
    annotation.begin = json_.position();
    json_.object([&](std::string_view key) {
      if (key == "id") {
        annotation.id = whole("id");
      } else if (key == "image_id") {
        image = whole("image_id");
      } else if (key == "category_id") {
        category = whole("category_id");
      } else if (key == "bbox") {
        has_box = mended()(
            [&](JsonReader& json, bool& as_text) { return box_of(json, annotation.box, as_text); });
      } else if (key == "area" && json_.kind() != Kind::null) {
        annotation.area = mended("area", most_area)(real_of);
        has_area = true;
      } else if (key == "iscrowd" && json_.kind() != Kind::null) {
        crowd = flag("iscrowd");
      } else if (key == "segmentation") {
        const std::size_t at = json_.position() - annotation.begin;
        if (at > UINT32_MAX) throw WrongField{"it is larger than 4 GB"};
        annotation.shape_at = static_cast<std::uint32_t>(at);
        shape = scan_shape(json_);
      } else if (key == "segments_info" && json_.kind() == Kind::array) {
        is_segments = true;
        json_.skip();
      } else {
        json_.skip();
      }
    });
    const auto example = [&] {
      return annotation.id == CocoAnnotation::no_id
                 ? str("annotations[", file_.annotations_.size(), "]")
                 : str("annotation ", annotation.id);
    };
    const Ids ids{needed(image, "image_id"), is_segments ? 0 : needed(category, "category_id")};
    if (annotation.id == CocoAnnotation::no_id && !is_segments)
      notes_.add(CocoNotes::no_id, example);
    if (shape.few_points > 0) notes_.add(CocoNotes::few_points, example);
    if (shape.empty) annotation.shape_at = 0;
    file_.panoptic_ = file_.panoptic_ || is_segments;
    if (!is_segments) {
      if (!has_box && shape.empty)
        throw WrongField{str("there is neither 'segmentation' nor 'bbox'", wrong_kind)};
      if (shape.empty) notes_.add(CocoNotes::no_shape, example);
      if (!has_box) notes_.add(CocoNotes::no_box, example);
      if (!has_area) notes_.add(CocoNotes::no_area, example);
      if (!crowd) notes_.add(CocoNotes::no_crowd, example);
      if (!has_box || !has_area) incomplete_.push_back({annotation.begin, has_box, has_area});
      if (shape.runs_size != ImageSize{})
        runs_sizes_.push_back({file_.annotations_.size(), shape.runs_size});
    }
    annotation.crowd = crowd.value_or(false);
    ids_.push_back(ids);
    file_.annotations_.push_back(annotation);
  }

  // Positions of entries by their ids.
  template <class Entry>
  std::unordered_map<std::int64_t, std::int32_t> positions(const std::vector<Entry>& entries,
                                                           const char* list) const {
    std::unordered_map<std::int64_t, std::int32_t> of;
    of.reserve(entries.size());
    for (std::size_t i = 0; i < entries.size(); ++i)
      check(of.emplace(entries[i].id, static_cast<std::int32_t>(i)).second, ExitCode::data,
            file_.name_, ": two ", list, " have the id ", entries[i].id);
    return of;
  }

  void check_annotation_ids() const {
    std::vector<std::int64_t> ids;
    ids.reserve(file_.annotations_.size());
    for (const CocoAnnotation& annotation : file_.annotations_)
      if (annotation.id != CocoAnnotation::no_id) ids.push_back(annotation.id);
    if (!std::is_sorted(ids.begin(), ids.end())) std::sort(ids.begin(), ids.end());
    const auto twice = std::adjacent_find(ids.begin(), ids.end());
    if (twice != ids.end())
      fail(ExitCode::data, file_.name_, ": two annotations have the id ", *twice);
  }

  // Ids become positions; what belongs to nothing goes; the rest is put in order.
  void place_annotations() {
    const auto image_of = positions(file_.images_, "images");
    const auto category_of = positions(file_.categories_, "categories");
    check_annotation_ids();
    std::vector<CocoAnnotation>& all = file_.annotations_;
    std::size_t kept = 0, next_size = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
      CocoAnnotation& annotation = all[i];
      const auto example = [&](const char* what, std::int64_t id) {
        return str(annotation.id == CocoAnnotation::no_id ? str("annotations[", i, "]")
                                                          : str("annotation ", annotation.id),
                   ", ", what, " ", id);
      };
      const ImageSize* runs_size = nullptr;
      if (next_size < runs_sizes_.size() && runs_sizes_[next_size].annotation == i)
        runs_size = &runs_sizes_[next_size++].size;
      const auto image = image_of.find(ids_[i].image);
      if (image == image_of.end()) {
        notes_.add(CocoNotes::unknown_image, [&] { return example("image", ids_[i].image); });
        continue;
      }
      annotation.image = image->second;
      if (!file_.panoptic_) {
        const auto category = category_of.find(ids_[i].category);
        if (category == category_of.end()) {
          notes_.add(CocoNotes::unknown_category,
                     [&] { return example("category", ids_[i].category); });
          continue;
        }
        annotation.category = category->second;
      }
      const ImageSize size = file_.images_[static_cast<std::size_t>(image->second)].size;
      if (runs_size && size != ImageSize{} && *runs_size != size)
        notes_.add(CocoNotes::other_size, [&] { return example("image", ids_[i].image); });
      all[kept++] = annotation;
    }
    all.resize(kept);
    std::vector<Ids>().swap(ids_);
    std::vector<RunsSize>().swap(runs_sizes_);
    const auto in_order = [](const CocoAnnotation& a, const CocoAnnotation& b) {
      return std::pair(a.image, a.begin) < std::pair(b.image, b.begin);
    };
    if (!std::is_sorted(all.begin(), all.end(), in_order))
      std::sort(all.begin(), all.end(), in_order);
    file_.first_.assign(file_.images_.size() + 1, 0);
    for (const CocoAnnotation& annotation : all)
      ++file_.first_[static_cast<std::size_t>(annotation.image) + 1];
    for (std::size_t i = 1; i < file_.first_.size(); ++i) file_.first_[i] += file_.first_[i - 1];
  }

  // Boxes and areas that are not said, and boxes that cannot be right.
  void complete_annotations() {
    if (file_.panoptic_) return;
    for (CocoAnnotation& annotation : file_.annotations_) {
      const auto found = std::lower_bound(
          incomplete_.begin(), incomplete_.end(), annotation.begin,
          [](const Incomplete& entry, std::uint64_t begin) { return entry.begin < begin; });
      if (found != incomplete_.end() && found->begin == annotation.begin)
        complete(annotation, *found);
      note_box(annotation);
    }
  }

  struct Incomplete {
    std::uint64_t begin;
    bool has_box, has_area;
  };
  void complete(CocoAnnotation& annotation, const Incomplete& has) const {
    const Shape shape = file_.shape(annotation);
    if (!has.has_box) annotation.box = box_around(shape);
    if (has.has_area) return;
    annotation.area = shape.empty()               ? annotation.box.width * annotation.box.height
                      : shape.runs.counts.empty() ? area_inside(shape.polygons)
                                                  : static_cast<double>(area_of(shape.runs));
  }

  void note_box(const CocoAnnotation& annotation) {
    const auto example = [&] { return file_.place(annotation); };
    const CocoBox& box = annotation.box;
    if (!(box.width > 0 && box.height > 0)) notes_.add(CocoNotes::no_extent, example);
    const ImageSize size = file_.images_[static_cast<std::size_t>(annotation.image)].size;
    if (size != ImageSize{} && (box.x < -1 || box.y < -1 || box.x + box.width > size.width + 1 ||
                                box.y + box.height > size.height + 1))
      notes_.add(CocoNotes::beyond, example);
  }

  CocoFile& file_;
  std::string_view text_;
  JsonReader json_;
  ReadPages pages_;
  CocoNotes notes_;
  std::vector<Ids> ids_;
  std::vector<RunsSize> runs_sizes_;
  std::vector<Incomplete> incomplete_;
};

CocoFile::CocoFile(const std::filesystem::path& file) : name_(file.string()), file_(file) {
  CocoFileReader(*this).read();
}

std::string_view CocoFile::text() const {
  const std::span<const std::uint8_t> bytes = file_.bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::span<const CocoAnnotation> CocoFile::objects_of(std::int64_t image) const {
  const auto i = static_cast<std::size_t>(image);
  return std::span(annotations_).subspan(first_[i], first_[i + 1] - first_[i]);
}

std::string CocoFile::place(const CocoAnnotation& annotation) const {
  return annotation.id == CocoAnnotation::no_id ? str("the annotation at byte ", annotation.begin)
                                                : str("annotation ", annotation.id);
}

Shape CocoFile::shape(const CocoAnnotation& annotation) const {
  if (annotation.shape_at == 0) return {};
  JsonReader json(text(), name_, annotation.begin + annotation.shape_at);
  try {
    return shape_of(json);
  } catch (const WrongField&) {  // the file was another when it was opened
    fail(ExitCode::data, name_, " has changed since it was opened");
  }
}

CocoSegments CocoFile::segments_of(const CocoAnnotation& annotation) const {
  CocoSegments all;
  JsonReader json(text(), name_, annotation.begin);
  bool unused = false;
  try {
    json.object([&](std::string_view key) {
      if (key == "file_name") {
        all.file_name = text_of(json, "file_name");
      } else if (key == "segments_info" && json.kind() == Kind::array) {
        json.array([&] {
          std::optional<std::int64_t> id, category;
          if (json.kind() != Kind::object) throw WrongField{"a segment is no JSON object"};
          json.object([&](std::string_view name) {
            if (name == "id")
              id = whole_of(json, "id", unused);
            else if (name == "category_id")
              category = whole_of(json, "category_id", unused);
            else
              json.skip();
          });
          if (!id || !category)
            throw WrongField{"a segment has no whole numbers 'id' and 'category_id'"};
          all.segments.push_back({*id, *category});
        });
      } else {
        json.skip();
      }
    });
    if (all.file_name.empty()) throw WrongField{"there is no text 'file_name'"};
  } catch (const WrongField& wrong) {
    fail(ExitCode::data, name_, ": ", place(annotation), ": ", wrong.why);
  }
  return all;
}

}  // namespace sgmae
