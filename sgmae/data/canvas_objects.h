// Objects as the network sees them: on the canvas on which the loader laid their image.
//
//   const CanvasObjects seen = on_canvas(data->objects(batch.index[i]), batch.source_size[i],
//                                        batch.placed[i], batch.flipped[i], true);
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sgmae/data/annotated_images.h"
#include "sgmae/image/geometry.h"

namespace sgmae {

// Which pixels of a rectangle of the canvas are object.
struct InstanceMask {
  CropBox place;
  std::vector<std::uint8_t> inside;  // [place.height, place.width] 0 and 1
};

struct CanvasObject {
  PixelBox box;
  std::int64_t category = 0;
  InstanceMask mask;  // empty without masks, and of an object that has no outline
};

struct CanvasObjects {
  std::vector<CanvasObject> objects;
  std::vector<PixelBox> crowds;  // neither object nor background
};

// What can be seen of the objects of an image of `source` pixels, in their order, clipped to the
// image's part on the canvas. With `masks` an outline is made into pixels: polygons are moved to
// the canvas and rasterised there as pycocotools does, run lengths are sampled at the pixels'
// centres; the object's box is then the one around those pixels, and an object without any is left
// out. A box that is narrower than a tenth of a pixel is left out too.
CanvasObjects on_canvas(std::span<const Instance> objects, ImageSize source,
                        const Placement& placed, bool flipped, bool masks);

// A box of the canvas back in the image, clipped to it.
PixelBox on_source(const PixelBox& box, ImageSize source, const Placement& placed, bool flipped);

}  // namespace sgmae
