// Images beside their nearest neighbours: how people judge an encoder.
#pragma once

#include <string>
#include <vector>

#include "sgmae/data/source.h"
#include "sgmae/image/image.h"

namespace sgmae {

struct NeighbourPicture {
  enum class Mark { none, right, wrong };  // whether it is of the query's class

  Image image;               // RGB
  std::string caption = {};  // below it, shortened where it is too long
  Mark mark = Mark::none;
};

// Each row is a query and its neighbours, nearest first, or a group of duplicates; the first
// picture stands apart. Marks are frames and signs, told below the title, if there is one.
using NeighbourRow = std::vector<NeighbourPicture>;
Image neighbour_sheet(const std::vector<NeighbourRow>& rows, const std::string& title);

// An image of a source, no larger than such a picture; grey where it cannot be read. And one of
// given pixels.
Image neighbour_thumbnail(const Source& source, std::int64_t index);
Image neighbour_thumbnail(const ImageView& image);

}  // namespace sgmae
