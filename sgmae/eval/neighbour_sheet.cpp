#include "sgmae/eval/neighbour_sheet.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/image/bands.h"
#include "sgmae/image/draw.h"
#include "sgmae/image/resize.h"
#include "sgmae/image/text.h"

namespace sgmae {
namespace {

using Mark = NeighbourPicture::Mark;

// Right and wrong differ for most colour-blind readers too (Okabe & Ito 2008), and by a sign.
constexpr Colour paper{255, 255, 255}, ink{30, 30, 30}, right{0, 114, 178}, wrong{213, 94, 0},
    missing{200, 200, 200};
constexpr int side = 120, gap = 8, frame = 4, letters = 13, margin = 12;

Colour colour_of(Mark mark) {
  return mark == Mark::right ? right : mark == Mark::wrong ? wrong : ink;
}

std::string sign_of(Mark mark) {
  return mark == Mark::right ? "✓ " : mark == Mark::wrong ? "✗ " : "";
}

// Values as stored, stretched to what can be seen.
Image picture_of(const OpenedImage& opened, int channels, const StoredValues& stored) {
  Bands bands;
  decode_bands(opened, whole(opened.size), channels, bands);
  const auto count = static_cast<std::size_t>(channels);
  const Normalisation as_they_are{std::vector<float>(count, 0), std::vector<float>(count, 1),
                                  stored};
  fill_nodata(bands, as_they_are);
  std::vector<float> values(bands.values.size());
  normalise(bands, as_they_are, values.data());
  return picture_of(values.data(), values.data(), channels, bands.size(), stored);
}

}  // namespace

Image neighbour_thumbnail(const ImageView& image) {
  const double scale = static_cast<double>(side) / std::max(image.width, image.height);
  const int whole = static_cast<int>(scale);
  if (whole >= 2) {  // pixels of small images stay squares
    Image enlarged = blank_image({image.width * whole, image.height * whole}, paper);
    paste(enlarged, image, 0, 0, whole);
    return enlarged;
  }
  const auto length = [&](int of) {
    return std::clamp(static_cast<int>(std::lround(of * scale)), 1, side);
  };
  return resize(image, {length(image.width), length(image.height)});
}

Image neighbour_thumbnail(const Source& source, std::int64_t index) {
  try {
    OpenedImage opened;
    source.open(index, opened);
    if (const auto& stored = source.stored_values())
      return neighbour_thumbnail(view(picture_of(opened, source.native_channels(), *stored)));
    Image buffer;
    return neighbour_thumbnail(decode(opened, whole(opened.size), 3, buffer));
  } catch (const Error&) {
    return blank_image({side, side}, missing);
  }
}

Image neighbour_sheet(const std::vector<NeighbourRow>& rows, const std::string& title) {
  std::size_t most = 1;
  bool marked = false;
  for (const NeighbourRow& row : rows) {
    most = std::max(most, row.size());
    for (const NeighbourPicture& picture : row) marked = marked || picture.mark != Mark::none;
  }
  const int line = text_height(letters), step = side + 2 * frame + gap, apart = 3 * gap;
  const int row_height = side + 2 * frame + line + gap,
            below_title = margin + (title.empty() ? 0 : line + gap),
            top = below_title + (marked ? line + gap : 0);
  const int width =
      std::max(2 * margin + apart + static_cast<int>(most) * step - gap, 480);  // of the title
  Image sheet =
      blank_image({width, top + static_cast<int>(rows.size()) * row_height + margin}, paper);
  write_text(sheet, shortened_text(title, letters + 2, width - 2 * margin), margin, margin,
             letters + 2, ink);
  if (marked) {
    int x = margin;
    for (const auto& [mark, text] : {std::pair{Mark::right, "of the query's class"},
                                     std::pair{Mark::wrong, "of another class"}}) {
      const std::string key = sign_of(mark) + text;
      write_text(sheet, key, x, below_title, letters, colour_of(mark));
      x += text_width(key, letters) + 3 * gap;
    }
  }
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const int y = top + static_cast<int>(r) * row_height;
    for (std::size_t i = 0; i < rows[r].size(); ++i) {
      const NeighbourPicture& picture = rows[r][i];
      const int x = margin + static_cast<int>(i) * step + (i > 0 ? apart : 0);
      const CropBox place{x, y, side + 2 * frame, side + 2 * frame};
      paste(sheet, view(picture.image), x + frame + (side - picture.image.width) / 2,
            y + frame + (side - picture.image.height) / 2, 1);
      if (picture.mark != Mark::none) outline(sheet, place, colour_of(picture.mark), frame - 1);
      write_text(sheet,
                 shortened_text(sign_of(picture.mark) + picture.caption, letters, place.width), x,
                 y + place.height, letters, colour_of(picture.mark));
    }
  }
  return sheet;
}

}  // namespace sgmae
