#include "sgmae/eval/object_files.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <pugixml.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/eval/outline.h"
#include "sgmae/image/decode.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

constexpr auto yolo_line =
    ": not a YOLO object; a line is `class cx cy width height` or `class x y x y x y …`, with "
    "fractions of the image";

bool is_fraction(double x) {
  return x >= 0 && x <= 1;
}

// The numbers of a text; empty where a word of it is none.
std::vector<double> numbers_of(const std::string& text) {
  std::istringstream words(text);
  std::vector<double> numbers;
  for (std::string word; words >> word;) {
    double number = 0;
    const char* const end = word.data() + word.size();
    const auto [read, error] = std::from_chars(word.data(), end, number);
    if (read != end || error != std::errc() || !std::isfinite(number)) return {};
    numbers.push_back(number);
  }
  return numbers;
}

// A line's numbers as an outline; nothing where they are no object.
std::optional<Outline> yolo_outline(const std::vector<double>& numbers, const ImageSize& size) {
  const double width = size.width, height = size.height;
  Outline outline;
  if (numbers.size() == 5 || numbers.size() == 6) {  // the sixth is a confidence
    const double x = numbers[1], y = numbers[2], w = numbers[3], h = numbers[4];
    if (!is_fraction(x) || !is_fraction(y) || !(w > 0) || !(h > 0)) return {};
    outline.box = {(x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width,
                   (y + h / 2) * height};
    return outline;
  }
  if (numbers.size() < 7 || numbers.size() % 2 == 0) return {};
  std::vector<float> points;
  for (std::size_t i = 1; i < numbers.size(); i += 2) {
    // Programs that draw outlines overstep the image by their rounding.
    if (!(std::abs(numbers[i] - 0.5) < 1 && std::abs(numbers[i + 1] - 0.5) < 1)) return {};
    points.push_back(static_cast<float>(numbers[i] * width));
    points.push_back(static_cast<float>(numbers[i + 1] * height));
  }
  outline.polygons = {std::move(points)};
  return outline;
}

// "FILE:LINE" of a place in an XML text.
std::string place_in(const fs::path& file, const std::string& text, std::ptrdiff_t offset) {
  const auto end = text.begin() +
                   std::clamp<std::ptrdiff_t>(offset, 0, static_cast<std::ptrdiff_t>(text.size()));
  return str(file.string(), ":", 1 + std::count(text.begin(), end, '\n'));
}

// One XML file of VOC's, and how its errors name places.
struct VocFile {
  const fs::path& file;
  std::string text;
  pugi::xml_document document;

  explicit VocFile(const fs::path& path) : file(path), text(read_text(path, ExitCode::data)) {
    const pugi::xml_parse_result result = document.load_buffer(text.data(), text.size());
    check(static_cast<bool>(result), ExitCode::data, place_in(file, text, result.offset),
          ": damaged XML: ", result.description());
  }

  pugi::xml_node annotation() const {
    const pugi::xml_node root = document.child("annotation");
    check(static_cast<bool>(root), ExitCode::data, file.string(),
          ": not Pascal VOC's XML; its root is not <annotation>");
    return root;
  }

  std::string place(const pugi::xml_node& node) const {
    return place_in(file, text, node.offset_debug());
  }

  // The number in <name> below `node`.
  double number(const pugi::xml_node& node, const char* name) const {
    const std::vector<double> numbers = numbers_of(node.child_value(name));
    check(numbers.size() == 1 && std::abs(numbers[0]) < 1e6, ExitCode::data, place(node), ": <",
          node.name(), "> has no number <", name, ">");
    return numbers[0];
  }

  // Some programs leave the size out or write 0.
  void check_size(const ImageSize& size) const {
    const pugi::xml_node node = annotation().child("size");
    if (!node) return;
    const double width = number(node, "width"), height = number(node, "height");
    check((width == 0 && height == 0) || (width == size.width && height == size.height),
          ExitCode::data, place(node), ": the marks are of an image of ", width, "x", height,
          " pixels, but theirs is ", size.width, "x", size.height);
  }

  GridBox box(const pugi::xml_node& object) const {
    const pugi::xml_node node = object.child("bndbox");
    check(static_cast<bool>(node), ExitCode::data, place(object), ": an <object> has no <bndbox>");
    const GridBox box{number(node, "xmin") - 1, number(node, "ymin") - 1, number(node, "xmax"),
                      number(node, "ymax")};
    check(box.left < box.right && box.top < box.bottom, ExitCode::data, place(node),
          ": a <bndbox> that ends before it begins");
    return box;
  }
};

}  // namespace

MarkedObjects seen_of_mask(const Image& mask, const CropBox& crop) {
  MarkedObjects seen;
  seen.mask = {crop.width, crop.height, 1, {}};
  const ImageView part = sgmae::crop(view(mask), crop);
  for (int y = 0; y < part.height; ++y)
    seen.mask.pixels.insert(seen.mask.pixels.end(), part.row(y), part.row(y) + part.width);
  if (const auto box = box_around(seen.mask)) seen.boxes = {*box};
  return seen;
}

Image read_marked_pixels(const fs::path& file, const ImageSize& size, const CropBox& crop) {
  try {
    const std::vector<std::uint8_t> bytes = read_file(file, ExitCode::data, max_image_bytes);
    const ImageInfo info = read_image_info(bytes);
    check(info.size == size, ExitCode::data, "the mask is ", info.size.width, "x", info.size.height,
          " pixels but its image ", size.width, "x", size.height);
    Image pixels;
    decode_image(bytes, info, crop, 3, pixels);
    return pixels;
  } catch (const Error& error) {
    fail(ExitCode::data, "cannot use ", file.string(), ": ", error.what());
  }
}

MarkedObjects read_mask_file(const fs::path& file, const ImageSize& size, const CropBox& crop) {
  // Not in grey, where the nearly black colours that numbers of objects often are would be 0.
  const std::vector<std::uint8_t> colours = read_marked_pixels(file, size, crop).pixels;
  Image mask{crop.width, crop.height, 1, {}};
  for (std::size_t i = 0; i < colours.size(); i += 3)
    mask.pixels.push_back(colours[i] || colours[i + 1] || colours[i + 2]);
  return seen_of_mask(mask, whole(mask.size()));
}

MarkedObjects read_yolo_file(const fs::path& file, const ImageSize& size, const CropBox& crop) {
  std::istringstream lines(read_text(file, ExitCode::data));
  std::vector<Outline> outlines;
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const auto outline = yolo_outline(numbers_of(line), size);
    check(outline.has_value(), ExitCode::data, file.string(), ":", number, yolo_line);
    outlines.push_back(*outline);
  }
  return seen_of(outlines, size, crop);
}

MarkedObjects read_voc_file(const fs::path& file, const ImageSize& size, const CropBox& crop) {
  const VocFile voc(file);
  voc.check_size(size);
  std::vector<Outline> outlines;
  for (const pugi::xml_node& object : voc.annotation().children("object"))
    outlines.push_back({{}, {}, voc.box(object)});
  return seen_of(outlines, size, crop);
}

MarkedObjects read_object_file(const fs::path& file, const ImageSize& size, const CropBox& crop) {
  if (file.extension() == ".xml") return read_voc_file(file, size, crop);
  if (file.extension() == ".txt") return read_yolo_file(file, size, crop);
  return read_mask_file(file, size, crop);
}

}  // namespace sgmae
