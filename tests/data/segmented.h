// Segmented data sets made for a test.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "sgmae/data/segmented_images.h"
#include "sgmae/image/encode.h"
#include "sgmae/image/label_map.h"
#include "tests/data/folder.h"

namespace sgmae {

// A PNG of labels, its value at (x, y) as `value` says.
inline void write_labels(const Folder& folder, const std::string& name, int width, int height,
                         const std::function<int(int, int)>& value) {
  LabelMap map{{width, height}, {}};
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) map.labels.push_back(static_cast<std::uint8_t>(value(x, y)));
  const auto png = encode_label_png(map);
  folder.write(name, std::string(png.begin(), png.end()));
}

// The same value everywhere, of the size of Folder::image().
inline void write_labels(const Folder& folder, const std::string& name, int value) {
  write_labels(folder, name, 12, 10, [&](int, int) { return value; });
}

// Values 0, 1, 2 … along the first row, then again, for a file whose map holds all of `values`.
inline void write_values(const Folder& folder, const std::string& name,
                         const std::vector<int>& values) {
  write_labels(folder, name, 12, 10, [&](int x, int y) {
    return values[static_cast<std::size_t>(y * 12 + x) % values.size()];
  });
}

inline std::vector<std::uint8_t> labels_of(const SegmentedImages& data, std::int64_t image) {
  LabelMap map;
  data.read_labels(image, map);
  return map.labels;
}

// The first labels of an image: what write_values() wrote, as classes.
inline std::vector<int> first_labels(const SegmentedImages& data, std::int64_t image,
                                     std::size_t count) {
  const auto labels = labels_of(data, image);
  return {labels.begin(), labels.begin() + static_cast<std::ptrdiff_t>(count)};
}

inline std::int64_t count(const SegmentedImages& data, const std::string& reason) {
  for (const LeftOut& entry : data.left_out())
    if (entry.reason == reason) return entry.count;
  return 0;
}

inline std::string example(const SegmentedImages& data, const std::string& reason) {
  for (const LeftOut& entry : data.left_out())
    if (entry.reason == reason) return entry.example;
  return "";
}

}  // namespace sgmae
