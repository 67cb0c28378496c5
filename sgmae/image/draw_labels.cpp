#include "sgmae/image/draw_labels.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <utility>

#include "sgmae/base/error.h"
#include "sgmae/image/augment.h"
#include "sgmae/image/codecs.h"
#include "sgmae/image/draw_objects.h"
#include "sgmae/image/resize.h"
#include "sgmae/image/side_by_side.h"
#include "sgmae/image/text.h"

namespace sgmae {
namespace {

constexpr Colour paper{255, 255, 255}, ink{24, 24, 24};

// At least so large, and in colour.
Image enlarged(const ImageView& photo, int least_side) {
  const ImageSize size{photo.width, photo.height};
  const int side = std::max({photo.width, photo.height, least_side});
  Image scaled =
      resize(photo, std::max(size.width, size.height) == side ? size : fitted(size, {side, side}));
  if (scaled.channels == 3) return scaled;
  Image colour;
  reshape(colour, scaled.size(), 3);
  convert_pixels(scaled.pixels.data(), 1, colour.pixels.data(), 3, scaled.width * scaled.height);
  return colour;
}

int letters_of(ImageSize size) {
  return std::max(12, std::max(size.width, size.height) / 40);
}

std::string name_of_class(std::uint8_t label, const std::vector<std::string>& class_names) {
  return label < class_names.size() ? class_names[label] : str("class ", int{label});
}

using Colours = std::array<Colour, 256>;  // by label
using Present = std::array<bool, 256>;

Present present_in(const LabelMap& labels) {
  Present present{};
  for (const std::uint8_t label : labels.labels) present[label] = true;
  return present;
}

// Squared, in RGB.
int distance(Colour a, Colour b) {
  int sum = 0;
  for (std::size_t c = 0; c < 3; ++c) sum += (a[c] - b[c]) * (a[c] - b[c]);
  return sum;
}

// Each class's own colour. Of the classes that are seen together one that is like an earlier one's
// gives way: there are too few colours for all classes, not for those of a picture.
Colours colours_of(const Present& present) {
  constexpr int alike = 80 * 80, others = 24, step = 7;
  Colours colours{};
  std::vector<Colour> taken;
  for (std::size_t label = 0; label < unlabelled_pixel; ++label) {
    if (!present[label]) continue;
    int best = -1;
    for (int i = 0; i < others && best < alike; ++i) {
      const Colour colour = colour_of(static_cast<std::int64_t>(label) + i * step);
      int nearest = alike;
      for (const Colour other : taken) nearest = std::min(nearest, distance(colour, other));
      if (nearest <= best) continue;
      best = nearest;
      colours[label] = colour;
    }
    taken.push_back(colours[label]);
  }
  return colours;
}

// Each class's colour mixed in, and a line where two classes, or a class and none, meet.
void paint(Image& image, const LabelMap& labels, const Colours& colours, double opacity) {
  const int width = image.width, height = image.height;
  const int line = std::max(1, letters_of(image.size()) / 16);
  const auto at = [&](int x, int y) {
    return labels.labels[static_cast<std::size_t>(y) * static_cast<std::size_t>(width) +
                         static_cast<std::size_t>(x)];
  };
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      const std::uint8_t label = at(x, y);
      bool edge = false;
      for (int d = 1; d <= line; ++d)
        edge = edge || (x + d < width && at(x + d, y) != label) ||
               (y + d < height && at(x, y + d) != label);
      if (label != unlabelled_pixel) tint(image, {x, y, 1, 1}, colours[label], opacity);
      if (edge) tint(image, {x, y, 1, 1}, paper, 0.7);
    }
}

// Swatches and names in columns; none for a map without labels.
Image legend_of(const LabelMap& labels, const std::vector<std::string>& class_names,
                const Colours& colours, int width, int letters, double opacity) {
  std::array<std::int64_t, 256> pixels{};
  for (const std::uint8_t label : labels.labels) ++pixels[label];
  std::vector<std::uint8_t> order;
  for (int label = 0; label < unlabelled_pixel; ++label)
    if (pixels[static_cast<std::size_t>(label)] > 0)
      order.push_back(static_cast<std::uint8_t>(label));
  std::stable_sort(order.begin(), order.end(),
                   [&](std::uint8_t a, std::uint8_t b) { return pixels[a] > pixels[b]; });
  const bool unlabelled = pixels[unlabelled_pixel] > 0;
  if (unlabelled) order.push_back(unlabelled_pixel);

  const int swatch = letters, gap = letters / 3, row = text_height(letters) + gap;
  const auto share_of = [&](std::uint8_t label) {
    const double share =
        100.0 * static_cast<double>(pixels[label]) / static_cast<double>(labels.labels.size());
    return share < 0.95 ? std::string(" <1%") : str(" ", std::lround(share), "%");
  };
  std::vector<std::string> names;
  int longest = 0;
  for (const std::uint8_t label : order) {
    std::string name =
        (label == unlabelled_pixel ? std::string("no class") : name_of_class(label, class_names)) +
        share_of(label);
    longest = std::max(longest, text_width(name, letters));
    names.push_back(std::move(name));
  }
  const int column = swatch + 2 * gap + longest + gap;
  const int columns = std::max(1, (width - gap) / column);
  const int rows = (static_cast<int>(order.size()) + columns - 1) / columns;
  Image legend = blank_image({width, rows * row + gap}, paper);
  for (std::size_t i = 0; i < order.size(); ++i) {
    const int x = gap + static_cast<int>(i) / rows * column,
              y = gap + static_cast<int>(i) % rows * row;
    const CropBox box{x, y + (text_height(letters) - swatch) / 2, swatch, swatch};
    fill(legend, box, {128, 128, 128});  // as over a photo of middle grey
    if (order[i] != unlabelled_pixel)
      tint(legend, box, colours[order[i]], std::min(1.0, opacity + 0.3));
    outline(legend, box, ink, std::max(1, letters / 16));
    write_text(legend, names[i], x + swatch + gap, y, letters, ink);
  }
  return legend;
}

Image stacked(const Image& above, const Image& below) {
  Image all = blank_image({above.width, above.height + below.height}, paper);
  paste(all, view(above), 0, 0, 1);
  paste(all, view(below), 0, above.height, 1);
  return all;
}

Image draw(const ImageView& photo, const LabelMap& labels,
           const std::vector<std::string>& class_names, const Colours& colours, double opacity,
           int least_side) {
  SGMAE_ASSERT(photo.width == labels.size.width && photo.height == labels.size.height);
  Image image = enlarged(photo, least_side);
  LabelMap scaled;
  resize_labels(labels, whole(labels.size), image.size(), whole(image.size()), false, scaled);
  paint(image, scaled, colours, opacity);
  return stacked(image, legend_of(labels, class_names, colours, image.width,
                                  letters_of(image.size()), opacity));
}

}  // namespace

Image draw_labels(const ImageView& photo, const LabelMap& labels,
                  const std::vector<std::string>& class_names, double opacity, int least_side) {
  return draw(photo, labels, class_names, colours_of(present_in(labels)), opacity, least_side);
}

Image draw_labels_beside(const ImageView& photo, const LabelMap& labels,
                         const std::vector<std::string>& class_names, const std::string& title,
                         const LabelMap* predicted) {
  constexpr int least_side = 640;
  constexpr double opacity = 0.55;
  // The same colours in both.
  Present present = present_in(labels);
  if (predicted != nullptr)
    for (const std::uint8_t label : predicted->labels) present[label] = true;
  const Colours colours = colours_of(present);
  const auto painted = [&](const LabelMap& map) {
    return draw(photo, map, class_names, colours, opacity, least_side);
  };
  std::vector<HeadedPicture> pictures{{"photo", enlarged(photo, least_side)},
                                      {"marked", painted(labels)}};
  if (predicted != nullptr) pictures.push_back({"predicted", painted(*predicted)});
  return side_by_side(pictures, title);
}

}  // namespace sgmae
