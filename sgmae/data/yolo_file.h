// YOLO's text: the objects of one image, an object a line, and the file that says where the images
// are and what their classes are called (data.yaml, classes.txt).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "sgmae/image/geometry.h"

namespace sgmae {

// One line: `class cx cy width height`, perhaps with keypoints and a confidence, which are dropped,
// or `class x y x y x y …`, its outline.
struct YoloObject {
  std::int64_t category = 0;
  // In fractions of the image: cx cy width height, or else the outline's x y x y x y ….
  std::vector<double> numbers;
  std::int64_t line = 0;  // from 1
  bool keypoints = false;

  bool is_box() const { return numbers.size() == 4; }
};

// Where objects have keypoints, these are so many numbers (YoloData::keypoint_numbers), and none
// has an outline. Throws Error(data), naming `where` and the line, for a line that is no object.
std::vector<YoloObject> parse_yolo(const std::string& text, const std::string& where,
                                   std::size_t keypoint_numbers = 0);

// In pixels of an image of that size, not clipped to it: the box, which is the outline's where
// there is one, and x y x y … of the outline, empty where there is none.
PixelBox box_of(const YoloObject& object, ImageSize size);
std::vector<double> outline_of(const YoloObject& object, ImageSize size);

// A data.yaml, or one of Darknet's .data files.
struct YoloData {
  std::string path;  // what the parts are relative to; "": the file's folder
  std::map<std::string, std::vector<std::string>> parts;  // train, val, test: folders or lists
  std::vector<std::string> class_names;                   // empty where it names none
  std::string names_file;                                 // that does; ""
  std::size_t keypoint_numbers = 0;                       // of each object, by its kpt_shape
};

// Reads the part of YAML that such files use: one key a line, values as words, [lists], {maps} and
// indented blocks. What else stands there is passed over. Throws Error(data), naming `where`, for
// names that are not numbered from 0 and a kpt_shape that is none.
YoloData parse_yolo_data(const std::string& text, const std::string& where);

// A .data file: `train = data/train.txt`, `valid = …`, `names = …`. What else stands there is
// passed over.
YoloData parse_darknet_data(const std::string& text);

// The names of classes, one a line; or those of a data.yaml under another name.
std::vector<std::string> parse_class_names(const std::string& text, const std::string& where);

}  // namespace sgmae
