#include "sgmae/image/draw_objects.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sgmae/base/error.h"
#include "sgmae/image/augment.h"
#include "sgmae/image/codecs.h"
#include "sgmae/image/resize.h"
#include "sgmae/image/text.h"

namespace sgmae {
namespace {

constexpr double mask_strength = 0.4;

// Rec. 601, 0 … 255.
double luma(Colour colour) {
  return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2];
}

constexpr Colour dark{16, 16, 16}, light{255, 255, 255};

Colour opposite(Colour colour) {
  return luma(colour) > 130 ? dark : light;
}

bool meet(const CropBox& a, const CropBox& b) {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

class Drawing {
 public:
  Drawing(const ImageView& photo, int least_side) : source_{photo.width, photo.height} {
    const int longer = std::max(photo.width, photo.height);
    const int side = std::max(longer, least_side);
    size_ = longer == side ? source_ : fitted(source_, {side, side});
    Image scaled = resize(photo, size_);
    if (scaled.channels == 3) {
      image_ = std::move(scaled);
    } else {
      reshape(image_, size_, 3);
      convert_pixels(scaled.pixels.data(), 1, image_.pixels.data(), 3, size_.width * size_.height);
    }
    letters_ = std::max(12, side / 40);
    line_ = std::max(1, letters_ / 8);
  }

  void mask(const DrawnObject& object) {
    if (object.shape.empty()) return;
    const InsideOf inside = pixels_of(object);
    const CropBox& place = inside.place;
    const auto at = [&](int x, int y) {
      return x >= 0 && y >= 0 && x < place.width && y < place.height &&
             inside.pixels[static_cast<std::size_t>(y) * static_cast<std::size_t>(place.width) +
                           static_cast<std::size_t>(x)] != 0;
    };
    for (int y = 0; y < place.height; ++y)
      for (int x = 0; x < place.width; ++x) {
        if (!at(x, y)) continue;
        bool edge = false;
        for (int d = 1; d <= line_ && !edge; ++d)
          edge = !at(x - d, y) || !at(x + d, y) || !at(x, y - d) || !at(x, y + d);
        tint(image_, {place.x + x, place.y + y, 1, 1}, object.colour, edge ? 0.9 : mask_strength);
      }
  }

  // The coloured line between two thin ones that are dark, or light beside a dark colour: one of
  // them is seen on any ground.
  void box(const DrawnObject& object) {
    const CropBox at = pixel_box(object);
    const int rim = std::max(1, line_ / 2);
    const Colour beside = opposite(object.colour);
    const auto frame = [&](int out, int width, Colour colour, double strength) {
      const CropBox whole{at.x - out, at.y - out, at.width + 2 * out, at.height + 2 * out};
      const auto side = [&](const CropBox& strip, bool across) {
        const int length = across ? strip.width : strip.height, dash = 6 * line_;
        for (int begin = 0; begin < length; begin += object.dashed ? 2 * dash : length) {
          const int part = object.dashed ? std::min(dash, length - begin) : length;
          tint(image_,
               across ? CropBox{strip.x + begin, strip.y, part, strip.height}
                      : CropBox{strip.x, strip.y + begin, strip.width, part},
               colour, strength);
        }
      };
      const int inner = std::max(0, whole.height - 2 * width);
      side({whole.x, whole.y, whole.width, width}, true);
      side({whole.x, whole.y + whole.height - width, whole.width, width}, true);
      side({whole.x, whole.y + width, width, inner}, false);
      side({whole.x + whole.width - width, whole.y + width, width, inner}, false);
    };
    frame(rim, rim, beside, 0.6);
    frame(-line_, rim, beside, 0.35);
    frame(0, line_, object.colour, 1);
  }

  void label(const DrawnObject& object) {
    if (object.label.empty()) return;
    const CropBox box = pixel_box(object);
    // Smaller letters where even those would be larger than the object.
    const bool tiny = std::min(box.width, box.height) < 2 * letters_;
    const int letters = tiny ? std::max(10, letters_ * 2 / 3) : letters_, room = letters / 4;
    const CropBox plate{0, 0, text_width(object.label, letters) + 2 * room, text_height(letters)};
    const int right = box.x + box.width - plate.width, below = box.y + box.height;
    const CropBox places[] = {
        {box.x, box.y - plate.height, 0, 0},
        {box.x, below, 0, 0},
        {right, box.y - plate.height, 0, 0},
        {right, below, 0, 0},
        {box.x, box.y, 0, 0},
        {box.x, below - plate.height, 0, 0},
        {box.x + box.width, box.y, 0, 0},
        {box.x - plate.width, box.y, 0, 0},
    };
    // The place that covers the least of other labels; the first of equal ones.
    CropBox best;
    std::int64_t least = -1;
    for (const CropBox& place : places) {
      // Nothing of it outside of the picture.
      const CropBox moved{std::clamp(place.x, 0, std::max(0, size_.width - plate.width)),
                          std::clamp(place.y, 0, std::max(0, size_.height - plate.height)),
                          plate.width, plate.height};
      const auto covered = std::count_if(labels_.begin(), labels_.end(),
                                         [&](const CropBox& other) { return meet(moved, other); });
      const std::int64_t cost = 2 * covered + (moved.x != place.x || moved.y != place.y);
      if (least < 0 || cost < least) {
        least = cost;
        best = moved;
      }
    }
    // Among many small objects the colour must do.
    if (tiny && least > 1) return;
    labels_.push_back(best);
    fill(image_, {best.x - 1, best.y - 1, best.width + 2, best.height + 2}, dark);
    fill(image_, best, object.colour);
    write_text(image_, object.label, best.x + room, best.y, letters, opposite(object.colour));
  }

  Image take() { return std::move(image_); }

 private:
  // The pixels of a rectangle that are object.
  struct InsideOf {
    CropBox place;
    std::vector<std::uint8_t> pixels;
  };

  double x_scale() const { return static_cast<double>(size_.width) / source_.width; }
  double y_scale() const { return static_cast<double>(size_.height) / source_.height; }

  // At least a line wide, and on the picture.
  CropBox pixel_box(const DrawnObject& object) const {
    const auto pixel = [](double x, int side) {
      return static_cast<int>(std::lround(std::clamp(x, 0.0, static_cast<double>(side))));
    };
    const int left = pixel(object.box.left * x_scale(), size_.width);
    const int top = pixel(object.box.top * y_scale(), size_.height);
    const int right = pixel(object.box.right * x_scale(), size_.width);
    const int bottom = pixel(object.box.bottom * y_scale(), size_.height);
    return {left, top, std::max(right - left, 2 * line_), std::max(bottom - top, 2 * line_)};
  }

  InsideOf pixels_of(const DrawnObject& object) const {
    if (!object.shape.runs.counts.empty()) {
      const Image mask = mask_of(object.shape.runs);
      InsideOf inside{whole(size_), {}};
      for (int y = 0; y < size_.height; ++y)
        for (int x = 0; x < size_.width; ++x) {
          const auto under = [](std::int64_t i, std::int64_t to, std::int64_t from) {
            return (2 * i + 1) * from / (2 * to);
          };
          inside.pixels.push_back(mask.pixels[static_cast<std::size_t>(
              under(y, size_.height, mask.height) * mask.width +
              under(x, size_.width, mask.width))]);
        }
      return inside;
    }
    std::vector<std::vector<double>> polygons = object.shape.polygons;
    for (std::vector<double>& points : polygons)
      for (std::size_t i = 0; i < points.size(); ++i)
        points[i] = std::clamp(points[i] * (i % 2 == 0 ? x_scale() : y_scale()),
                               -largest_coordinate, largest_coordinate);
    return {whole(size_), mask_of(runs_of_polygons(polygons, size_)).pixels};
  }

  ImageSize source_, size_;
  Image image_;
  int letters_ = 0, line_ = 1;  // pixels
  std::vector<CropBox> labels_;
};

}  // namespace

Colour colour_of(std::int64_t number) {
  // Hues in steps of the golden angle, in three kinds of lightness, none too dark for a photo.
  constexpr double golden = 0.38196601125, first = 0.58;
  const auto n = static_cast<double>(number % 1024);
  const double hue = first + golden * n - std::floor(first + golden * n);
  const auto kind = static_cast<std::size_t>(number % 3);
  constexpr double saturation[] = {0.85, 0.65, 0.95}, value[] = {1, 0.95, 0.8};
  Colour colour{};
  for (std::size_t c = 0; c < 3; ++c) {
    const double k = std::fmod(5.0 - 2.0 * static_cast<double>(c) + 6 * hue, 6.0);
    const double part = std::clamp(std::min(k, 4 - k), 0.0, 1.0);
    colour[c] =
        static_cast<std::uint8_t>(std::lround(255 * value[kind] * (1 - saturation[kind] * part)));
  }
  return colour;
}

std::string scored_label(const std::string& name, double score) {
  return str(name, name.empty() ? "" : " ", std::lround(100 * score), "%");
}

Image draw_objects(const ImageView& photo, std::span<const DrawnObject> objects, int least_side) {
  Drawing drawing(photo, least_side);
  std::vector<std::size_t> order(objects.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return objects[a].box.area() > objects[b].box.area();
  });
  for (const std::size_t i : order) drawing.mask(objects[i]);
  for (const std::size_t i : order) drawing.box(objects[i]);
  for (const std::size_t i : order) drawing.label(objects[i]);
  return drawing.take();
}

}  // namespace sgmae
