#include "sgmae/data/coco_results.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <unordered_map>
#include <utility>

#include "sgmae/base/error.h"
#include "sgmae/data/coco_fields.h"

namespace sgmae {
namespace {

using Kind = JsonReader::Kind;
using Positions = std::unordered_map<std::int64_t, std::int32_t>;

template <class Entry>
Positions positions(const std::vector<Entry>& entries) {
  Positions of;
  of.reserve(entries.size());
  for (std::size_t i = 0; i < entries.size(); ++i)
    of.emplace(entries[i].id, static_cast<std::int32_t>(i));
  return of;
}

std::int64_t needed(const std::optional<std::int64_t>& id, const char* field) {
  if (!id) throw WrongField{str("there is no whole number '", field, "'")};
  return *id;
}

// One entry of the list. Its image and category are ids for the time being.
struct Entry {
  CocoDetection detection;
  std::int64_t image_id = 0, category_id = 0;
  bool mended = false;
};

Entry read_detection(JsonReader& json) {
  Entry entry;
  CocoDetection& detection = entry.detection;
  std::optional<std::int64_t> image, category;
  bool has_score = false;
  detection.begin = json.position();
  if (json.kind() != Kind::object) throw WrongField{"it is no JSON object"};
  json.object([&](std::string_view key) {
    if (key == "image_id") {
      image = whole_of(json, "image_id", entry.mended);
    } else if (key == "category_id") {
      category = whole_of(json, "category_id", entry.mended);
    } else if (key == "score") {
      detection.score = real_of(json, "score", std::numeric_limits<double>::max(), entry.mended);
      has_score = true;
    } else if (key == "bbox") {
      detection.has_box = box_of(json, detection.box, entry.mended);
    } else if (key == "segmentation") {
      const std::size_t at = json.position() - detection.begin;
      if (at > std::numeric_limits<std::uint32_t>::max())
        throw WrongField{"it is larger than 4 GB"};
      if (!scan_shape(json).empty) detection.shape_at = static_cast<std::uint32_t>(at);
    } else {
      json.skip();
    }
  });
  entry.image_id = needed(image, "image_id");
  entry.category_id = needed(category, "category_id");
  if (!has_score) throw WrongField{"there is no number 'score'"};
  if (!detection.has_box && detection.shape_at == 0)
    throw WrongField{"there is neither 'bbox' nor 'segmentation'"};
  return entry;
}

}  // namespace

CocoResults::CocoResults(const std::filesystem::path& file, const CocoFile& truth)
    : name_(file.string()), file_(file) {
  read(truth);
}

std::string_view CocoResults::text() const {
  const std::span<const std::uint8_t> bytes = file_.bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void CocoResults::read(const CocoFile& truth) {
  JsonReader json(text(), name_);
  ReadPages pages(text());
  CocoNotes notes;
  const Positions image_of = positions(truth.images()), category_of = positions(truth.categories());
  if (json.kind() != Kind::array)
    fail(ExitCode::data, name_,
         " is no list; expected detections as COCO has them: [{\"image_id\": …, \"category_id\": "
         "…, \"bbox\": [x, y, width, height], \"score\": …}, …]");
  std::uint32_t number = 0;
  const auto place = [&] { return str("detections[", number, "]"); };
  json.array([&] {
    try {
      Entry entry = read_detection(json);
      CocoDetection& detection = entry.detection;
      if (number == 0) boxes_ = detection.has_box;
      if (boxes_ && !detection.has_box)
        throw WrongField{"there is no 'bbox', which the first detection has"};
      if (!boxes_ && detection.shape_at == 0)
        throw WrongField{"there is no 'segmentation', which the first detection has"};
      const auto image = image_of.find(entry.image_id);
      if (image == image_of.end())
        throw WrongField{
            str("its image ", entry.image_id, " is not among those of ", truth.name())};
      if (entry.mended) notes.add(CocoNotes::number_as_text, place);
      const auto category = category_of.find(entry.category_id);
      if (category == category_of.end()) {
        notes.add(CocoNotes::foreign_category,
                  [&] { return str(place(), ", category ", entry.category_id); });
      } else {
        detection.image = image->second;
        detection.category = category->second;
        detection.number = number;
        detections_.push_back(detection);
      }
    } catch (const WrongField& wrong) {
      fail(ExitCode::data, name_, ": ", place(), ": ", wrong.why);
    }
    ++number;
    pages.forget_up_to(json.position());
  });
  json.finish();
  const auto in_order = [](const CocoDetection& a, const CocoDetection& b) {
    return std::pair(a.image, a.number) < std::pair(b.image, b.number);
  };
  if (!std::is_sorted(detections_.begin(), detections_.end(), in_order))
    std::sort(detections_.begin(), detections_.end(), in_order);
  first_.assign(truth.images().size() + 1, 0);
  for (const CocoDetection& detection : detections_)
    ++first_[static_cast<std::size_t>(detection.image) + 1];
  for (std::size_t i = 1; i < first_.size(); ++i) first_[i] += first_[i - 1];
  left_out_ = notes.left_out();
}

std::span<const CocoDetection> CocoResults::of_image(std::int64_t image) const {
  const auto i = static_cast<std::size_t>(image);
  return std::span(detections_).subspan(first_[i], first_[i + 1] - first_[i]);
}

Shape CocoResults::shape(const CocoDetection& detection) const {
  if (detection.shape_at == 0) return {};
  JsonReader json(text(), name_, detection.begin + detection.shape_at);
  try {
    return shape_of(json);
  } catch (const WrongField&) {
    fail(ExitCode::data, name_, " has changed since it was opened");
  }
}

}  // namespace sgmae
