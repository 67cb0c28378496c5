// The confusion of classes as a picture.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sgmae/image/image.h"

namespace sgmae {

// A matrix [classes, classes] of counts: row truth, column prediction, each row scaled to its sum,
// with axes, the classes' names as far as there is room, and a scale; in large cells per cents. A
// row without counts stays white. A class beyond `class_names` is called by its number.
Image confusion_figure(std::span<const std::int64_t> counts, std::int64_t classes,
                       const std::vector<std::string>& class_names);

}  // namespace sgmae
