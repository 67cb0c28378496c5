// Pascal VOC's XML: the objects of one image.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sgmae/image/geometry.h"

namespace sgmae {

struct VocObject {
  std::string name;  // of its class; "" where none is given
  // From the bndbox, whose coordinates count pixels from 1 and include the last: xmin 1, xmax 640
  // are all of 640 pixels. As it stands there: perhaps beyond the image, or ending before it
  // begins.
  PixelBox box;
  bool difficult = false;
  std::int64_t line = 0;  // of the bndbox
};

struct VocFile {
  std::string filename;  // of the image; "" where none is given
  ImageSize size;        // 0 where the file does not say, as some programs write it
  std::int64_t size_line = 0;
  std::vector<VocObject> objects;
};

// Throws Error(data), naming `where` and the line, for what is no such file or damaged.
VocFile parse_voc(const std::string& text, const std::string& where);

}  // namespace sgmae
