// Annotated images that a tiny detector can learn: red rectangles and blue triangles on grey, in
// COCO's layout with polygons.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/base/rng.h"
#include "sgmae/image/draw.h"
#include "sgmae/image/encode.h"

namespace sgmae::shapes {

inline constexpr int width = 64, height = 48;

// root/SPLIT/0.png … and root/annotations/instances_SPLIT.json with ids that have gaps. The first
// image has nothing on it, the second a crowd as well.
inline void write(const std::filesystem::path& root, const std::string& split, int images) {
  namespace fs = std::filesystem;
  using nlohmann::json;
  fs::create_directories(root / split);
  fs::create_directories(root / "annotations");
  json document{{"images", json::array()},
                {"annotations", json::array()},
                {"categories", {{{"id", 3}, {"name", "box"}}, {{"id", 7}, {"name", "wedge"}}}}};
  std::int64_t id = 0;
  for (int i = 0; i < images; ++i) {
    Rng rng(7, split.size(), static_cast<std::uint64_t>(i), Purpose::probe);
    Image image = blank_image({width, height}, {120, 120, 120});
    const auto annotate = [&](int category, const std::vector<int>& points, int x, int y, int side,
                              bool crowd) {
      json entry{{"id", ++id},
                 {"image_id", 100 + 2 * i},
                 {"category_id", category},
                 {"bbox", {x, y, side, side}},
                 {"iscrowd", crowd ? 1 : 0},
                 {"segmentation", {points}},
                 {"area", category == 3 ? side * side : side * side / 2}};
      if (crowd)  // as COCO has them: all of the image
        entry["segmentation"] = {{"size", {height, width}}, {"counts", {0, width * height}}};
      document["annotations"].push_back(entry);
    };
    for (int object = 0; i > 0 && object < 2; ++object) {
      // One in each half, so that they do not hide each other.
      const int side = static_cast<int>(12 + rng.below(12));
      const int x = 32 * object + static_cast<int>(rng.below(32 - side));
      const int y = static_cast<int>(rng.below(height - side));
      const bool box = rng.below(2) == 0;
      for (int row = 0; row < side; ++row)
        fill(image, {x, y + row, box ? side : row + 1, 1},
             box ? Colour{220, 40, 40} : Colour{40, 40, 220});
      if (box)
        annotate(3, {x, y, x + side, y, x + side, y + side, x, y + side}, x, y, side, false);
      else
        annotate(7, {x, y, x + side, y + side, x, y + side}, x, y, side, false);
    }
    if (i == 1) annotate(3, {}, 0, 0, 20, true);
    document["images"].push_back(
        {{"id", 100 + 2 * i}, {"file_name", str(i, ".png")}, {"width", width}, {"height", height}});
    write_png(root / split / str(i, ".png"), image);
  }
  write_file(root / "annotations" / ("instances_" + split + ".json"), document.dump());
}

}  // namespace sgmae::shapes
