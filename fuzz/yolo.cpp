// YOLO's text and data.yaml (data/yolo_file.h).
// sources: sgmae/data/yolo_file.cpp
#include "sgmae/data/yolo_file.h"

#include <cmath>
#include <string>

#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sgmae;
  const std::string text(data, data + size);
  try_to(ExitCode::data, [&] {
    for (const std::string& name : parse_yolo_data(text, "file").class_names)
      if (name.size() > size) std::abort();
  });
  try_to(ExitCode::data, [&] { parse_class_names(text, "file"); });
  parse_darknet_data(text);
  try_to(ExitCode::data, [&] { parse_yolo(text, "file", 4); });
  return try_to(ExitCode::data, [&] {
    for (const YoloObject& object : parse_yolo(text, "file")) {
      const PixelBox box = box_of(object, {640, 480});
      if (object.category < 0 || object.line < 1 || !(box.left <= box.right) ||
          !(box.top <= box.bottom))
        std::abort();
      if (outline_of(object, {640, 480}).size() % 2 != 0) std::abort();
    }
  });
}
