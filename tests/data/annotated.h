// Annotated images as text, for tests to compare.
#pragma once

#include <string>

#include "sgmae/data/annotated_images.h"
#include "tests/data/folder.h"

namespace sgmae {

// "dog 0 0 6 5; cat 2 2 12 10 crowd" of an image; coordinates to three digits.
inline std::string described(const AnnotatedImages& data, std::int64_t image) {
  std::string text;
  const auto number = [](double x) { return std::stod(fixed(x, 3)); };
  for (const Instance& object : data.objects(image))
    text += str(text.empty() ? "" : "; ",
                data.class_names().at(static_cast<std::size_t>(object.category)), " ",
                number(object.box.left), " ", number(object.box.top), " ", number(object.box.right),
                " ", number(object.box.bottom), object.shape.polygons.empty() ? "" : " polygons",
                object.shape.runs.counts.empty() ? "" : " runs", object.crowd ? " crowd" : "");
  return text;
}

inline std::int64_t count(const AnnotatedImages& data, const std::string& reason) {
  for (const LeftOut& entry : data.left_out())
    if (entry.reason == reason) return entry.count;
  return 0;
}

inline std::string example(const AnnotatedImages& data, const std::string& reason) {
  for (const LeftOut& entry : data.left_out())
    if (entry.reason == reason) return entry.example;
  return "";
}

}  // namespace sgmae
