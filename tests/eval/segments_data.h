// Photos of boxes and discs on a noisy ground, and which pixel is what: a pair of folders.
#pragma once

#include <filesystem>

#include "sgmae/base/error.h"
#include "sgmae/base/rng.h"
#include "sgmae/image/encode.h"
#include "sgmae/image/label_map.h"

namespace sgmae::segments {

inline constexpr int side = 48;

struct Painted {
  Image photo;
  LabelMap labels;  // 0 ground, 1 box, 2 disc
};

inline Painted paint(std::uint64_t number) {
  Rng rng(number, 0, 0, Purpose::probe);
  Painted painted{{side, side, 3, {}}, {{side, side}, {}}};
  const int box_x = static_cast<int>(rng.below(24)), box_y = static_cast<int>(rng.below(24));
  const int x0 = 8 + static_cast<int>(rng.below(32)), y0 = 8 + static_cast<int>(rng.below(32));
  for (int y = 0; y < side; ++y)
    for (int x = 0; x < side; ++x) {
      const bool disc = (x - x0) * (x - x0) + (y - y0) * (y - y0) < 81;
      const bool box = x >= box_x && x < box_x + 18 && y >= box_y && y < box_y + 14;
      const std::uint8_t label = disc ? 2 : box ? 1 : 0;
      painted.labels.labels.push_back(label);
      for (int c = 0; c < 3; ++c) {
        const int plain = label == 0 ? 120 : (label == 1) == (c == 0) ? 220 : 40;
        painted.photo.pixels.push_back(static_cast<std::uint8_t>(plain + rng.below(30)));
      }
    }
  return painted;
}

// folder/images/PART/N.png and folder/labels/PART/N.png.
inline void write(const std::filesystem::path& folder, const std::string& part, int count) {
  std::filesystem::create_directories(folder / "images" / part);
  std::filesystem::create_directories(folder / "labels" / part);
  for (int n = 0; n < count; ++n) {
    const Painted painted = paint(static_cast<std::uint64_t>(n) + (part == "val" ? 1000 : 0));
    write_png(folder / "images" / part / str(n, ".png"), painted.photo);
    write_png(folder / "labels" / part / str(n, ".png"), {side, side, 1, painted.labels.labels});
  }
}

}  // namespace sgmae::segments
