#include "sgmae/image/side_by_side.h"

#include <algorithm>

#include "sgmae/image/draw.h"
#include "sgmae/image/text.h"

namespace sgmae {

Image side_by_side(const std::vector<HeadedPicture>& pictures, const std::string& title) {
  constexpr Colour paper{255, 255, 255}, ink{24, 24, 24};
  constexpr int gap = 8;
  ImageSize size{-gap, 0};
  for (const HeadedPicture& shown : pictures) {
    size.width += gap + shown.picture.width;
    size.height = std::max(size.height, shown.picture.height);
  }
  const int letters = std::max(16, size.height / 40), line = text_height(letters) + gap / 2;
  Image sheet = blank_image({size.width, size.height + 2 * line}, paper);
  write_text(sheet, shortened_text(title, letters, size.width), 0, 0, letters, ink);
  int x = 0;
  for (const HeadedPicture& shown : pictures) {
    write_text(sheet, shortened_text(shown.heading, letters, shown.picture.width), x, line, letters,
               ink);
    paste(sheet, view(shown.picture), x, 2 * line, 1);
    x += shown.picture.width + gap;
  }
  return sheet;
}

}  // namespace sgmae
