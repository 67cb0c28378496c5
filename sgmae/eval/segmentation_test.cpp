#include "sgmae/eval/segmentation_test.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <future>
#include <optional>

#include "sgmae/base/error.h"
#include "sgmae/base/log.h"
#include "sgmae/base/progress.h"
#include "sgmae/base/signals.h"
#include "sgmae/eval/metrics.h"
#include "sgmae/image/draw_labels.h"
#include "sgmae/image/encode.h"
#include "sgmae/parallel/process_group.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

struct Pair {
  Image photo;
  LabelMap labels;
};

// Nothing, and a warning, where the image cannot be read.
std::optional<Pair> read_pair(const SegmentedImages& data, std::int64_t image, int channels) {
  try {
    Pair pair;
    OpenedImage opened;
    data.images().open(image, opened);
    decode_image(opened.bytes, opened.info, whole(opened.size), channels, pair.photo);
    data.read_labels(image, pair.labels);
    return pair;
  } catch (const Error& error) {
    const std::string name = data.images().name(image), why = error.what();
    warn_once("unreadable image " + name,
              str("unreadable image, left out: ",
                  why.find(name) == std::string::npos ? name + ": " + why : why));
    return std::nullopt;
  }
}

// Everybody's, by image.
std::vector<ImageScore> gathered(const std::vector<ImageScore>& own) {
  at::Tensor table = at::empty({static_cast<std::int64_t>(own.size()), 2}, at::kDouble);
  auto rows = table.accessor<double, 2>();
  for (std::size_t i = 0; i < own.size(); ++i) {
    rows[static_cast<std::int64_t>(i)][0] = static_cast<double>(own[i].image);
    rows[static_cast<std::int64_t>(i)][1] = own[i].miou;
  }
  std::vector<ImageScore> all;
  for (const at::Tensor& part : processes().gather(table)) {
    const auto values = part.accessor<double, 2>();
    for (std::int64_t i = 0; i < part.size(0); ++i)
      all.push_back({static_cast<std::int64_t>(values[i][0]), values[i][1]});
  }
  std::sort(all.begin(), all.end(),
            [](const ImageScore& a, const ImageScore& b) { return a.image < b.image; });
  return all;
}

}  // namespace

SegmentationTest test_segmentation(const PixelClassifier& classifier, const SegmentedImages& data,
                                   const SegmentViews& views) {
  SegmentationTest test{.counts = PixelCounts(data.classes()), .scores = {}};
  const std::int64_t images = data.images().size(), step = processes().size();
  const int channels = static_cast<int>(classifier.channels);
  double unreadable = 0;
  processes().together([&] {
    const auto read = [&](std::int64_t image) {
      return std::async(std::launch::async,
                        [&data, image, channels] { return read_pair(data, image, channels); });
    };
    std::future<std::optional<Pair>> ahead;
    Progress progress("test", images);
    for (std::int64_t image = processes().rank(); image < images; image += step) {
      if (stop_requested()) throw StopRequested();
      progress.show(image);
      if (!ahead.valid()) ahead = read(image);
      const std::optional<Pair> pair = ahead.get();
      if (image + step < images) ahead = read(image + step);
      if (!pair) {
        ++unreadable;
        continue;
      }
      const LabelMap predicted = segment_photo(classifier, view(pair->photo), views);
      PixelCounts own(data.classes());
      own.add(pair->labels.labels, predicted.labels);
      test.counts += own;
      test.scores.push_back({image, own.mean_iou()});
    }
  });
  test.scores = gathered(test.scores);
  test.counts.sum_over_processes();
  test.unreadable = static_cast<std::int64_t>(processes().sum(unreadable));
  test.images = static_cast<std::int64_t>(test.scores.size());
  check(test.images > 0, ExitCode::data, "none of the images can be read; the first is ",
        data.images().name(0));
  return test;
}

nlohmann::ordered_json to_json(const SegmentationTest& test,
                               const std::vector<std::string>& class_names) {
  nlohmann::ordered_json result{{"test_images", test.images},
                                {"unreadable_test_images", test.unreadable}};
  result.update(to_json(test.counts, class_names));
  return result;
}

void write_pictures(const fs::path& folder, const PixelClassifier& classifier,
                    const SegmentedImages& data, const SegmentationTest& test,
                    const SegmentViews& views, std::size_t count) {
  std::vector<ImageScore> ranked = test.scores;
  std::erase_if(ranked, [](const ImageScore& score) { return std::isnan(score.miou); });
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const ImageScore& a, const ImageScore& b) { return a.miou < b.miou; });
  const std::size_t common = common_folder(data.images());
  const auto show = [&](const char* kind) {
    for (std::size_t i = 0; i < std::min(count, ranked.size()); ++i) {
      const auto pair = read_pair(data, ranked[i].image, static_cast<int>(classifier.channels));
      if (!pair) continue;
      const LabelMap predicted = segment_photo(classifier, view(pair->photo), views);
      const std::string title = str(data.images().name(ranked[i].image).substr(common),
                                    ": mean IoU ", std::lround(100 * ranked[i].miou), "%");
      write_png(folder / str(kind, i < 9 ? "_0" : "_", i + 1, ".png"),
                draw_labels_beside(view(pair->photo), pair->labels, data.class_names(), title,
                                   &predicted));
    }
  };
  show("worst");
  std::reverse(ranked.begin(), ranked.end());
  show("best");
}

}  // namespace sgmae
