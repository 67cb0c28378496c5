// Photos with the classes of their pixels painted over them.
#pragma once

#include <string>
#include <vector>

#include "sgmae/image/draw.h"
#include "sgmae/image/image.h"
#include "sgmae/image/label_map.h"

namespace sgmae {

// A copy of the photo (1 or 3 channels) in colour, each class in a colour of its own (another
// than usual where it would be like another class's in this picture), `opacity` strong, thin lines
// between classes, and below it a legend of the classes that are there, the largest first.
// Unlabelled pixels stay as they are. It is enlarged so that its longer side has at least
// `least_side` pixels, lest names become larger than what they name. A class beyond `class_names`
// is called by its number.
Image draw_labels(const ImageView& photo, const LabelMap& labels,
                  const std::vector<std::string>& class_names, double opacity = 0.55,
                  int least_side = 640);

// The photo alone, likewise enlarged, and beside it draw_labels() of the marked labels, and to the
// right of those of the predicted ones, if given; under headings and a title.
Image draw_labels_beside(const ImageView& photo, const LabelMap& labels,
                         const std::vector<std::string>& class_names, const std::string& title,
                         const LabelMap* predicted = nullptr);

}  // namespace sgmae
