#include "sgmae/data/voc_file.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <pugixml.hpp>

#include "sgmae/base/error.h"
#include "sgmae/data/labels.h"

namespace sgmae {
namespace {

// Lines of a text by offset, asked for in ascending order or not.
class Lines {
 public:
  explicit Lines(const std::string& text) {
    for (std::size_t at = text.find('\n'); at != std::string::npos; at = text.find('\n', at + 1))
      ends_.push_back(static_cast<std::ptrdiff_t>(at));
  }
  std::int64_t of(std::ptrdiff_t offset) const {
    return 1 + (std::lower_bound(ends_.begin(), ends_.end(), offset) - ends_.begin());
  }

 private:
  std::vector<std::ptrdiff_t> ends_;
};

struct Reader {
  const std::string& where;
  Lines lines;

  std::int64_t line(const pugi::xml_node& node) const { return lines.of(node.offset_debug()); }

  // The number in <name> below `node`.
  double number(const pugi::xml_node& node, const char* name) const {
    const std::string word = trimmed(node.child_value(name));
    double number = 0;
    const auto [read, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    // The comparison is false for NaN.
    check(!word.empty() && read == word.data() + word.size() && error == std::errc() &&
              std::abs(number) < 1e6,
          ExitCode::data, where, ":", line(node), ": <", node.name(), "> has no number <", name,
          ">");
    return number;
  }

  VocObject object(const pugi::xml_node& node) const {
    const pugi::xml_node box = node.child("bndbox");
    check(static_cast<bool>(box), ExitCode::data, where, ":", line(node),
          ": an <object> has no <bndbox>");
    VocObject object;
    object.name = trimmed(node.child_value("name"));
    object.box = {number(box, "xmin") - 1, number(box, "ymin") - 1, number(box, "xmax"),
                  number(box, "ymax")};
    object.difficult = trimmed(node.child_value("difficult")) == "1";
    object.line = line(box);
    return object;
  }
};

}  // namespace

VocFile parse_voc(const std::string& text, const std::string& where) {
  const Reader reader{where, Lines(text)};
  pugi::xml_document document;
  const pugi::xml_parse_result result = document.load_buffer(text.data(), text.size());
  check(static_cast<bool>(result), ExitCode::data, where, ":", reader.lines.of(result.offset),
        ": damaged XML: ", result.description());
  const pugi::xml_node root = document.child("annotation");
  check(static_cast<bool>(root), ExitCode::data, where,
        ": not Pascal VOC's XML; its root is not <annotation>");
  VocFile file;
  file.filename = trimmed(root.child_value("filename"));
  if (const pugi::xml_node size = root.child("size")) {
    file.size_line = reader.line(size);
    const double width = reader.number(size, "width"), height = reader.number(size, "height");
    check(width >= 0 && height >= 0 && width == std::floor(width) && height == std::floor(height),
          ExitCode::data, where, ":", file.size_line, ": <size> is no size of an image");
    file.size = {static_cast<int>(width), static_cast<int>(height)};
    if (file.size.width == 0 || file.size.height == 0) file.size = {};
  }
  for (const pugi::xml_node& node : root.children("object"))
    file.objects.push_back(reader.object(node));
  return file;
}

}  // namespace sgmae
