// Which class was taken for which, of a result.json that has a "confusion": of images
// (tasks/classifier.h), pixels (tasks/segment.h) or objects (tasks/detect.h). Anything else in its
// place is left out.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>

#include "sgmae/report/blocks.h"

namespace sgmae {

struct Confusion {
  Table table;  // without rows where a result has none
  std::string meaning;
};

// By true class (rows) and by the class that was seen there (columns). Objects are counted; the
// last row is background taken for an object, the last column objects that were missed. Of images
// and pixels the share of the row is told. Of more than `most_classes` classes only the most
// frequent mistakes, one a row.
Confusion confusion_of(const nlohmann::ordered_json& result, std::size_t most_classes);

}  // namespace sgmae
