// Pictures in a row.
#pragma once

#include <string>
#include <vector>

#include "sgmae/image/image.h"

namespace sgmae {

struct HeadedPicture {
  std::string heading;  // "photo", "what was found"
  Image picture;        // RGB
};

// RGB pictures on white, each under its heading, and above them all the title, shortened where it
// is too long.
Image side_by_side(const std::vector<HeadedPicture>& pictures, const std::string& title);

}  // namespace sgmae
