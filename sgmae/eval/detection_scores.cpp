#include "sgmae/eval/detection_scores.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/data/canvas_objects.h"
#include "sgmae/eval/detector_file.h"
#include "sgmae/eval/metrics.h"
#include "sgmae/parallel/process_group.h"
#include "sgmae/train/shared_pass.h"

namespace sgmae {
namespace {

using nlohmann::ordered_json;

constexpr double half = 0.5;

CocoBox coco_box(const PixelBox& box) {
  return {box.left, box.top, box.width(), box.height()};
}

double common_area(const PixelBox& a, const PixelBox& b) {
  const double width = std::min(a.right, b.right) - std::max(a.left, b.left);
  const double height = std::min(a.bottom, b.bottom) - std::max(a.top, b.top);
  return std::max(width, 0.0) * std::max(height, 0.0);
}

double overlap(const PixelBox& a, const PixelBox& b) {
  const double both = common_area(a, b), all = a.area() + b.area() - both;
  return all > 0 ? both / all : 0;
}

std::vector<TrueObject> truth_of(const std::vector<Instance>& objects) {
  std::vector<TrueObject> truth;
  for (const Instance& object : objects)
    truth.push_back({.category = object.category,
                     .box = coco_box(object.box),
                     .area = object.area,
                     .crowd = object.crowd});
  return truth;
}

// Adds the masks. Of an object that is only boxed nobody knows which one is right: its box takes in
// what is found there, as a crowd does.
void add_masks(std::vector<TrueObject>& truth, const std::vector<Instance>& objects,
               ImageSize size) {
  for (std::size_t i = 0; i < objects.size(); ++i) {
    Shape shape = objects[i].shape;
    if (shape.empty()) {
      const PixelBox& box = objects[i].box;
      const double left = std::clamp<double>(box.left, 0, size.width),
                   right = std::clamp<double>(box.right, 0, size.width),
                   top = std::clamp<double>(box.top, 0, size.height),
                   bottom = std::clamp<double>(box.bottom, 0, size.height);
      shape.polygons = {{left, top, right, top, right, bottom, left, bottom}};
      truth[i].crowd = true;
    }
    truth[i].mask = runs_of(shape, size);
  }
}

// Plain numbers of every process behind one another.
template <class T>
std::vector<T> gathered(const std::vector<T>& own) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::string bytes(own.size() * sizeof(T), '\0');
  if (!own.empty()) std::memcpy(bytes.data(), own.data(), bytes.size());
  std::vector<T> all;
  for (const std::string& part : processes().gather(bytes)) {
    const std::size_t before = all.size();
    all.resize(before + part.size() / sizeof(T));
    if (!part.empty()) std::memcpy(&all[before], part.data(), part.size());
  }
  return all;
}

Matches gathered(const Matches& own) {
  return {gathered(own.groups), gathered(own.detections)};
}

// null for pycocotools' -1.
ordered_json share(double value) {
  return value < 0 ? ordered_json() : ordered_json(value);
}

// Mean precision over the classes that have objects, at each recall; `first` to `last` overlaps.
std::vector<double> mean_precision(const CocoScores& scores, std::size_t first, std::size_t last) {
  std::vector<double> curve(coco::recalls, 0);
  const std::size_t step = coco::areas * coco::limits;
  for (std::size_t r = 0; r < coco::recalls; ++r) {
    double sum = 0;
    std::size_t count = 0;
    for (std::size_t t = first; t < last; ++t)
      for (std::size_t k = 0; k < scores.categories; ++k) {
        const std::size_t at = ((t * coco::recalls + r) * scores.categories + k) * step;
        const double value = scores.precision[at + coco::limits - 1];  // all areas, 100 detections
        if (value < 0) continue;
        sum += value;
        ++count;
      }
    curve[r] = count > 0 ? sum / static_cast<double>(count) : 0;
  }
  return curve;
}

// Of each image its place by id: the order in which pycocotools has images whose detections score
// alike.
std::vector<std::int64_t> ranks_by_id(const AnnotatedImages& data) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(data.images().size()));
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](std::int64_t a, std::int64_t b) { return data.image_id(a) < data.image_id(b); });
  std::vector<std::int64_t> ranks(order.size());
  for (std::size_t i = 0; i < order.size(); ++i)
    ranks[static_cast<std::size_t>(order[i])] = static_cast<std::int64_t>(i);
  return ranks;
}

}  // namespace

std::vector<DetectedObject> find_objects(const MaskRcnn& model, const at::Tensor& canvas,
                                         ImageSize source, const Placement& placed) {
  const Detections found =
      model.detect(canvas.narrow(1, 0, placed.content.height).narrow(2, 0, placed.content.width));
  std::vector<DetectedObject> objects;
  for (std::int64_t i = 0; i < found.boxes.size(0); ++i) {
    const float* const side = found.boxes.data_ptr<float>() + 4 * i;
    const PixelBox box =
        on_source({side[0], side[1], side[2], side[3]}, source, placed, /*flipped=*/false);
    DetectedObject object{.category = found.labels.data_ptr<std::int64_t>()[i],
                          .score = found.scores.data_ptr<float>()[i],
                          .box = coco_box(box),
                          .area = box.area()};
    if (found.masks.defined()) {
      const std::int64_t cells = found.masks.size(1);
      const auto values = static_cast<std::size_t>(cells * cells);
      object.mask = paste_mask({found.masks.data_ptr<float>() + i * cells * cells, values}, cells,
                               box, source);
    }
    objects.push_back(std::move(object));
  }
  return objects;
}

double ImageVerdict::quality() const {
  const auto all = static_cast<double>(2 * right + wrong + missed);
  return all > 0 ? static_cast<double>(2 * right) / all : 1;
}

ImageVerdict judge(std::int64_t image, const std::vector<Instance>& truth,
                   const std::vector<DetectedObject>& found, DetectionConfusion& confusion) {
  const std::int64_t none = confusion.side - 1;
  ImageVerdict verdict{.image = image};
  for (const Instance& object : truth) verdict.only_boxed += object.shape.empty() ? 1 : 0;
  std::vector<bool> taken(truth.size(), false);
  for (const DetectedObject& object : found) {
    if (object.score < shown_score) continue;
    const PixelBox box = object.box.pixels();
    std::size_t best = truth.size();
    double most = half;
    bool in_crowd = false;
    for (std::size_t i = 0; i < truth.size(); ++i) {
      if (truth[i].crowd) {
        in_crowd |= common_area(box, truth[i].box) >= half * box.area();
      } else if (const double both = overlap(box, truth[i].box); !taken[i] && both >= most) {
        best = i;
        most = both;
      }
    }
    if (best == truth.size() && in_crowd) continue;
    std::int64_t is = none;
    if (best < truth.size()) {
      taken[best] = true;
      is = truth[best].category;
    }
    ++confusion.at(is, object.category);
    ++(is == object.category ? verdict.right : verdict.wrong);
  }
  for (std::size_t i = 0; i < truth.size(); ++i) {
    if (taken[i] || truth[i].crowd) continue;
    ++confusion.at(truth[i].category, none);
    ++verdict.missed;
  }
  return verdict;
}

std::int64_t DetectionTest::without_outline() const {
  std::int64_t count = 0;
  if (masks)
    for (const ImageVerdict& verdict : verdicts) count += verdict.only_boxed;
  return count;
}

DetectionTest test_detector(const MaskRcnn& model, const AnnotatedImages& data,
                            const LoaderOptions& loader) {
  const std::int64_t classes = model.config().classes;
  const bool with_masks = model.config().masks && data.has_masks();
  DetectionTest test{.boxes = {},
                     .masks = {},
                     .images = 0,
                     .unreadable = 0,
                     .verdicts = {},
                     .confusion = DetectionConfusion(classes),
                     .found = {}};
  const std::vector<std::int64_t> category_ids = classes_of(data).ids;
  SGMAE_ASSERT(static_cast<std::int64_t>(category_ids.size()) == classes);
  const std::vector<std::int64_t> ranks = ranks_by_id(data);
  Matches boxes, masks;
  const SharedPass pass = shared_pass("test", data.images(), loader, [&](const Batch& batch) {
    for (std::size_t i = 0; i < batch.index.size(); ++i) {
      const std::int64_t image = batch.index[i];
      const std::int64_t rank = ranks[static_cast<std::size_t>(image)];
      const ImageSize size = batch.source_size[i];
      const std::vector<Instance> objects = data.objects(image);
      std::vector<TrueObject> truth = truth_of(objects);
      std::vector<DetectedObject> found =
          find_objects(model, batch.pixels[static_cast<std::int64_t>(i)], size, batch.placed[i]);
      match_boxes(rank, truth, found, boxes);
      test.found += result_entries({{"image_id", data.image_id(image)}}, found, category_ids);
      test.verdicts.push_back(judge(image, objects, found, test.confusion));
      if (!with_masks) continue;
      add_masks(truth, objects, size);
      for (DetectedObject& object : found) object.area = static_cast<double>(area_of(object.mask));
      match_masks(rank, truth, found, masks);
    }
  });
  test.images = pass.images;
  test.unreadable = pass.unreadable;
  test.boxes = accumulate(gathered(boxes), static_cast<std::size_t>(classes));
  if (with_masks) test.masks = accumulate(gathered(masks), static_cast<std::size_t>(classes));
  test.verdicts = gathered(test.verdicts);
  std::sort(test.verdicts.begin(), test.verdicts.end(),
            [](const ImageVerdict& a, const ImageVerdict& b) { return a.image < b.image; });
  const std::vector<std::int64_t> own = std::exchange(
      test.confusion.counts, std::vector<std::int64_t>(test.confusion.counts.size(), 0));
  const std::vector<std::int64_t> all = gathered(own);
  for (std::size_t i = 0; i < all.size(); ++i) test.confusion.counts[i % own.size()] += all[i];
  std::string every;
  for (const std::string& part : processes().gather(test.found)) every += part;
  test.found = processes().leads() ? std::move(every) : std::string();
  return test;
}

std::string result_entries(const ordered_json& image, const std::vector<DetectedObject>& found,
                           const std::vector<std::int64_t>& category_ids) {
  std::string entries;
  for (const DetectedObject& object : found) {
    ordered_json entry = image;
    entry["category_id"] = category_ids[static_cast<std::size_t>(object.category)];
    entry["bbox"] = {object.box.x, object.box.y, object.box.width, object.box.height};
    entry["score"] = object.score;
    if (!object.mask.counts.empty())
      entry["segmentation"] = {{"size", {object.mask.size.height, object.mask.size.width}},
                               {"counts", text_of(object.mask)}};
    entries += entry.dump() + ",\n";
  }
  return entries;
}

void write_detections(const std::filesystem::path& file, std::string entries) {
  if (entries.ends_with(",\n")) entries.resize(entries.size() - 2);
  write_file(file, "[\n" + entries + "\n]\n");
}

ordered_json score_entries(const DetectionTest& test) {
  ordered_json entries;
  const auto add = [&](const std::string& of, const CocoScores& scores) {
    const std::array<double, 12> stats = scores.stats();
    for (const auto& [name, i] : {std::pair{"_ap", 0},
                                  {"_ap50", 1},
                                  {"_ap75", 2},
                                  {"_ap_small", 3},
                                  {"_ap_medium", 4},
                                  {"_ap_large", 5},
                                  {"_ar100", 8}})
      entries[of + name] = share(stats[static_cast<std::size_t>(i)]);
  };
  add("box", test.boxes);
  if (test.masks) add("mask", *test.masks);
  return entries;
}

ordered_json to_json(const DetectionTest& test, const std::vector<std::string>& class_names) {
  ordered_json result = score_entries(test);
  if (test.masks) result["objects_without_outline"] = test.without_outline();
  ordered_json per_class = ordered_json::object();
  for (std::size_t k = 0; k < test.boxes.categories; ++k) {
    const auto truth = static_cast<std::int64_t>(k);
    ordered_json& entry = per_class[class_name(class_names, truth)];
    std::int64_t objects = 0;
    for (std::int64_t found = 0; found < test.confusion.side; ++found)
      objects += test.confusion.at(truth, found);
    entry["objects"] = objects;
    entry["box_ap"] = share(test.boxes.average_precision(k));
    entry["box_ap50"] = share(test.boxes.average_precision(k, 0));
    if (test.masks) {
      entry["mask_ap"] = share(test.masks->average_precision(k));
      entry["mask_ap50"] = share(test.masks->average_precision(k, 0));
    }
  }
  result["per_class"] = per_class;
  const auto curves = [](const CocoScores& scores) -> ordered_json {
    return {{"0.5", mean_precision(scores, 0, 1)},
            {"0.75", mean_precision(scores, 5, 6)},
            {"0.5:0.95", mean_precision(scores, 0, coco::overlaps)}};
  };
  result["precision"]["box"] = curves(test.boxes);
  if (test.masks) result["precision"]["mask"] = curves(*test.masks);
  ordered_json confusion = ordered_json::array();
  for (std::size_t i = 0; i < test.confusion.counts.size(); ++i) {
    const auto side = static_cast<std::size_t>(test.confusion.side);
    if (test.confusion.counts[i] > 0)
      confusion.push_back({i / side, i % side, test.confusion.counts[i]});
  }
  result["confusion"] = confusion;
  return result;
}

}  // namespace sgmae
