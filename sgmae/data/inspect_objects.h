// A look at what is marked in annotated images: how many objects of which class and size.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sgmae/data/annotated_images.h"

namespace sgmae {

struct ObjectStats {
  std::int64_t objects = 0;  // crowds apart
  std::int64_t crowds = 0;
  std::int64_t with_outline = 0;
  // By COCO's bounds of the area: below 32 x 32 pixels, to 96 x 96, above.
  std::int64_t small = 0, medium = 0, large = 0;
  struct ClassStats {
    std::string name;
    std::int64_t objects = 0, images = 0;
  };
  std::vector<ClassStats> classes;
  std::int64_t images = 0, images_without = 0;
  std::int64_t fewest = 0, median = 0, most = 0;  // objects in an image that has any
};

// Reads every object, so that damage shows: throws Error(data), naming it.
ObjectStats inspect_objects(const AnnotatedImages& data);

nlohmann::ordered_json to_json(const ObjectStats& stats);

}  // namespace sgmae
