#include "sgmae/image/label_map.h"

#include <algorithm>
#include <array>
#include <utility>

#include "sgmae/base/error.h"
#include "sgmae/image/codecs.h"
#include "sgmae/image/decode.h"
#include "sgmae/image/sniff.h"

namespace sgmae {

void read_label_map(std::span<const std::uint8_t> bytes, LabelMap& map) {
  const ImageFormat format = sniff_format(bytes);
  check(format == ImageFormat::png, ExitCode::data, "labels are read from PNG files, and this is ",
        name_of(format),
        format == ImageFormat::jpeg || format == ImageFormat::webp
            ? ", which may have changed their values; make them anew as PNG"
            : "; convert it");
  const ImageInfo info = read_image_info(bytes);
  Image values;
  values.pixels = std::move(map.labels);
  decode_png_values(bytes, values);
  turn_upright(values, info.orientation);
  map.size = values.size();
  map.labels = std::move(values.pixels);
}

LabelMap read_label_map(std::span<const std::uint8_t> bytes) {
  LabelMap map;
  read_label_map(bytes, map);
  return map;
}

std::vector<std::uint8_t> encode_label_png(const LabelMap& map) {
  std::array<Colour, 256> palette;
  for (std::size_t i = 0; i < palette.size(); ++i)
    palette[i] = label_colour(static_cast<std::uint8_t>(i));
  return encode_png_values({map.labels.data(), map.size.width, map.size.height, 1, map.size.width},
                           palette);
}

Colour label_colour(std::uint8_t label) {
  Colour colour{};
  for (int bit = 0; bit < 8; ++bit)
    colour[static_cast<std::size_t>(bit % 3)] = static_cast<std::uint8_t>(
        colour[static_cast<std::size_t>(bit % 3)] | (label >> bit & 1) << (7 - bit / 3));
  return colour;
}

std::vector<int> nearest_inputs(int in, int out, int begin, int length) {
  SGMAE_ASSERT(in > 0 && out > 0 && begin >= 0 && begin + length <= out);
  // Pillow adds up steps, and their rounding decides where a middle falls between two inputs.
  const double step = static_cast<double>(in) / out;
  double at = step * 0.5;
  for (int i = 0; i < begin; ++i) at += step;
  std::vector<int> inputs(static_cast<std::size_t>(length));
  for (int& input : inputs) {
    input = std::min(static_cast<int>(at), in - 1);
    at += step;
  }
  return inputs;
}

void resize_labels(const LabelMap& source, const CropBox& box, ImageSize scaled,
                   const CropBox& window, bool flip, LabelMap& result) {
  SGMAE_ASSERT(box.x >= 0 && box.y >= 0 && box.x + box.width <= source.size.width &&
               box.y + box.height <= source.size.height);
  std::vector<int> columns = nearest_inputs(box.width, scaled.width, window.x, window.width);
  if (flip) std::reverse(columns.begin(), columns.end());
  result.size = {window.width, window.height};
  result.labels.resize(static_cast<std::size_t>(window.width) *
                       static_cast<std::size_t>(window.height));
  std::uint8_t* out = result.labels.data();
  for (const int y : nearest_inputs(box.height, scaled.height, window.y, window.height)) {
    const std::uint8_t* row =
        source.labels.data() + static_cast<std::ptrdiff_t>(box.y + y) * source.size.width + box.x;
    for (const int x : columns) *out++ = row[x];
  }
}

}  // namespace sgmae
