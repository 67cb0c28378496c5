#include "sgmae/data/coco_fields.h"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <limits>
#include <optional>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

using Kind = JsonReader::Kind;

struct Meaning {
  const char* reason;
  LeftOut::Weight weight;
};

// In the order of CocoNotes::Reason.
constexpr std::array<Meaning, CocoNotes::reasons> meanings{{
    {"annotations without 'id'", LeftOut::Weight::by_rule},
    {"annotations without 'area': that of the outline is taken, or the box's",
     LeftOut::Weight::by_rule},
    {"annotations without 'iscrowd': they are none", LeftOut::Weight::by_rule},
    {"annotations without 'bbox': the outline's is taken", LeftOut::Weight::by_rule},
    {"annotations without 'segmentation': they are boxes", LeftOut::Weight::by_rule},
    {"numbers written as texts", LeftOut::Weight::by_rule},
    {"polygons of fewer than three points", LeftOut::Weight::told},
    {"boxes without width or height", LeftOut::Weight::told},
    {"boxes that reach beyond their image by more than a pixel", LeftOut::Weight::told},
    {"run lengths of another size than their image", LeftOut::Weight::told},
    {"images without 'file_name'", LeftOut::Weight::told},
    {"annotations of images that are not listed", LeftOut::Weight::told},
    {"annotations of categories that are not listed", LeftOut::Weight::lost},
    {"detections of categories that the truth does not list", LeftOut::Weight::told},
}};

[[noreturn]] void wrong(const char* field, const char* why) {
  throw WrongField{str("'", field, "' is ", why)};
}

// The text of a number, however it is written; "" for any other value.
std::string_view spelled(JsonReader& json, bool& mended) {
  const Kind kind = json.kind();
  if (kind == Kind::number) return json.number_text();
  if (kind != Kind::text) return {};
  mended = true;
  return json.text();
}

// A coordinate as it is written, if it is one of pixels. Most have few digits: no need to make a
// double of them.
bool is_coordinate(std::string_view text) {
  std::size_t at = text.starts_with('-'), before_point = 0;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) ++before_point;
  bool simple = before_point > 0 && before_point <= 6;
  if (at < text.size() && text[at] == '.')
    for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9';) ++at;
  simple = simple && at == text.size();
  if (simple) return true;
  return std::abs(JsonReader(text, "").number()) <= largest_coordinate;  // not where it is NaN
}

// What the two readers of a segmentation have in common: see(text) for each coordinate, end() after
// each polygon, and runs(…).
template <class See, class End, class Found>
void read_segmentation(JsonReader& json, const See& see, const End& end, const Found& found) {
  constexpr auto field = "segmentation";
  switch (json.kind()) {
    case Kind::null:
      json.skip();
      return;
    case Kind::array:
      json.array([&] {
        if (json.kind() != Kind::array) wrong(field, "neither a list of polygons nor run lengths");
        std::size_t numbers = 0;
        json.array([&] {
          if (json.kind() != Kind::number) wrong(field, "a polygon that is no list of numbers");
          const std::string_view text = json.number_text();
          if (!is_coordinate(text)) wrong(field, "a polygon with a number that is none of pixels");
          see(text);
          ++numbers;
        });
        if (numbers % 2 != 0) wrong(field, "a polygon with an odd number of coordinates");
        end(numbers / 2);
      });
      return;
    case Kind::object:
      break;
    default:
      wrong(field, "neither a list of polygons nor run lengths");
  }
  std::vector<std::int64_t> size;
  std::optional<std::string> text;
  std::optional<std::vector<std::uint32_t>> counts;
  const auto whole = [&](std::int64_t most, const char* why) {
    const auto number =
        json.kind() == Kind::number ? whole_number(json.number_text()) : std::nullopt;
    if (!number || *number < 0 || *number > most) wrong(field, why);
    return *number;
  };
  json.object([&](std::string_view key) {
    if (key == "size" && json.kind() == Kind::array) {
      json.array([&] {
        size.push_back(whole(static_cast<std::int64_t>(largest_coordinate),
                             "run lengths whose 'size' is not height and width"));
      });
    } else if (key == "counts" && json.kind() == Kind::text) {
      text = json.text();
    } else if (key == "counts" && json.kind() == Kind::array) {
      counts.emplace();
      json.array([&] {
        counts->push_back(static_cast<std::uint32_t>(
            whole(std::numeric_limits<std::uint32_t>::max(),
                  "run lengths whose 'counts' is no list of numbers of pixels")));
      });
    } else {
      json.skip();
    }
  });
  if (size.size() != 2) wrong(field, "run lengths whose 'size' is not height and width");
  if (!text && !counts) wrong(field, "run lengths whose 'counts' is neither a list nor a text");
  const ImageSize pixels{static_cast<int>(size[1]), static_cast<int>(size[0])};
  try {
    found(text ? runs_of_text(*text, pixels) : runs_of_counts(std::move(*counts), pixels));
  } catch (const Error& error) {
    wrong(field, error.what());
  }
}

}  // namespace

void ReadPages::forget_up_to(std::size_t position) {
  constexpr std::size_t portion = std::size_t{16} << 20;
  if (position < forgotten_ + portion) return;
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t end = position / page * page;
  ::madvise(const_cast<char*>(text_.data()) + forgotten_, end - forgotten_, MADV_DONTNEED);
  forgotten_ = end;
}

std::vector<LeftOut> CocoNotes::left_out() const {
  std::vector<LeftOut> all;
  for (std::size_t i = 0; i < reasons; ++i)
    if (counts_[i] > 0)
      all.push_back({meanings[i].reason, meanings[i].weight, counts_[i], examples_[i]});
  return all;
}

std::int64_t whole_of(JsonReader& json, const char* field, bool& mended) {
  const auto number = whole_number(spelled(json, mended));
  if (!number) wrong(field, "no whole number");
  return *number;
}

bool flag_of(JsonReader& json, const char* field, bool& mended) {
  if (json.kind() == Kind::boolean) return json.boolean();
  const auto number = whole_number(spelled(json, mended));
  if (!number || *number < 0 || *number > 1) wrong(field, "neither 0 nor 1");
  return *number == 1;
}

double real_of(JsonReader& json, const char* field, double most, bool& mended) {
  double number = std::numeric_limits<double>::quiet_NaN();
  if (json.kind() == Kind::number) {
    number = json.number();
  } else {
    const std::string text(spelled(json, mended));
    char* end = nullptr;
    if (!text.empty()) number = std::strtod(text.c_str(), &end);
    if (end != text.c_str() + text.size()) number = std::numeric_limits<double>::quiet_NaN();
  }
  if (!(std::abs(number) <= most)) wrong(field, "no number that can be meant");
  return number;
}

bool box_of(JsonReader& json, CocoBox& box, bool& mended) {
  if (json.kind() == Kind::null) {
    json.skip();
    return false;
  }
  if (json.kind() != Kind::array) wrong("bbox", "not x, y, width and height");
  std::array<double*, 4> fields{&box.x, &box.y, &box.width, &box.height};
  std::size_t count = 0;
  json.array([&] {
    if (count == fields.size()) wrong("bbox", "not x, y, width and height");
    *fields[count++] = real_of(json, "bbox", largest_coordinate, mended);
  });
  if (count != 0 && count != fields.size()) wrong("bbox", "not x, y, width and height");
  return count != 0;
}

Shape shape_of(JsonReader& json) {
  Shape shape;
  std::vector<double> polygon;
  read_segmentation(
      json, [&](std::string_view text) { polygon.push_back(JsonReader(text, "").number()); },
      [&](std::size_t points) {
        if (points >= 3) shape.polygons.push_back(polygon);
        polygon.clear();
      },
      [&](Runs&& runs) { shape.runs = std::move(runs); });
  return shape;
}

ScannedShape scan_shape(JsonReader& json) {
  ScannedShape scanned;
  read_segmentation(
      json, [](std::string_view) {},
      [&](std::size_t points) { (points >= 3 ? scanned.empty = false : ++scanned.few_points); },
      [&](const Runs& runs) {
        scanned.empty = false;
        scanned.runs_size = runs.size;
      });
  return scanned;
}

}  // namespace sgmae
