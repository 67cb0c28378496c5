// Photos with the objects in them: boxes, translucent masks, and labels that can be read on any
// photo.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sgmae/image/draw.h"
#include "sgmae/image/geometry.h"
#include "sgmae/image/image.h"
#include "sgmae/image/runs.h"

namespace sgmae {

struct DrawnObject {
  PixelBox box;       // in pixels of the photo
  Shape shape = {};   // likewise; empty: no mask
  std::string label;  // "": none
  Colour colour = {};
  bool dashed = false;  // for what is no single object, as a crowd
};

// Colours that are told apart, for the numbers of classes or objects; neighbours differ most.
Colour colour_of(std::int64_t number);

// "dog 87%".
std::string scored_label(const std::string& name, double score);

// A copy of the photo (1 or 3 channels) in colour, with the objects drawn: large ones below small
// ones, labels above all of them and, where there is room, beside each other. It is enlarged so
// that its longer side has at least `least_side` pixels, lest labels cover what they name.
Image draw_objects(const ImageView& photo, std::span<const DrawnObject> objects,
                   int least_side = 640);

}  // namespace sgmae
