#include "sgmae/eval/detection_pictures.h"

#include <algorithm>
#include <cmath>

#include "sgmae/base/error.h"
#include "sgmae/eval/metrics.h"
#include "sgmae/image/draw_objects.h"
#include "sgmae/image/encode.h"
#include "sgmae/image/side_by_side.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

Image picture_of(const ImageView& photo, const std::vector<Instance>& truth,
                 const std::vector<std::string>& class_names) {
  std::vector<DrawnObject> drawn;
  for (const Instance& object : truth)
    drawn.push_back({.box = object.box,
                     .shape = object.shape,
                     .label = class_name(class_names, object.category),
                     .colour = colour_of(object.category),
                     .dashed = object.crowd});
  return draw_objects(photo, drawn);
}

}  // namespace

Image picture_of(const ImageView& photo, const std::vector<DetectedObject>& found,
                 const std::vector<std::string>& class_names) {
  std::vector<DrawnObject> drawn;
  for (const DetectedObject& object : found) {
    if (object.score < shown_score) continue;
    drawn.push_back({.box = object.box.pixels(),
                     .shape = {{}, object.mask},
                     .label = scored_label(class_name(class_names, object.category), object.score),
                     .colour = colour_of(object.category)});
  }
  return draw_objects(photo, drawn);
}

void write_pictures(const fs::path& folder, const MaskRcnn& model, const AnnotatedImages& data,
                    const DetectionTest& test, LoaderOptions loader, std::size_t count) {
  std::vector<ImageVerdict> ranked = test.verdicts;
  std::stable_sort(ranked.begin(), ranked.end(), [](const ImageVerdict& a, const ImageVerdict& b) {
    return a.quality() < b.quality();
  });
  std::vector<std::pair<ImageVerdict, std::string>> shown;  // and file
  const auto show = [&](const char* kind) {
    for (std::size_t i = 0; i < std::min(count, ranked.size()); ++i)
      shown.emplace_back(ranked[i], str(kind, i < 9 ? "_0" : "_", i + 1, ".png"));
  };
  show("worst");
  std::erase_if(ranked, [](const ImageVerdict& v) { return v.right == 0; });
  std::reverse(ranked.begin(), ranked.end());
  show("best");

  loader.batch_size = 1;
  loader.num_workers = 0;
  const std::vector<std::string>& classes = data.class_names();
  OpenedImage opened;
  Image pixels;
  const std::size_t common = common_folder(data.images());
  for (const auto& [verdict, file] : shown) {
    const std::int64_t image = verdict.image;
    loader.subset = {image};
    Loader one(data.images(), loader);
    one.start_epoch(0);
    Batch batch;
    if (!one.next(batch) || batch.index.empty()) continue;
    data.images().open(image, opened);
    const ImageView photo = decode(opened, whole(opened.size), 3, pixels);
    const std::vector<DetectedObject> found =
        find_objects(model, batch.pixels[0], opened.size, batch.placed[0]);
    const std::string title = str(data.images().name(image).substr(common), ": ", verdict.right,
                                  " right, ", verdict.wrong, " wrong, ", verdict.missed, " missed");
    write_png(folder / file,
              side_by_side({{"marked", picture_of(photo, data.objects(image), classes)},
                            {str("found, with scores from ", std::lround(100 * shown_score), "%"),
                             picture_of(photo, found, classes)}},
                           title));
  }
}

}  // namespace sgmae
