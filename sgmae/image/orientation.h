// Where a file says how it is to be turned upright: an EXIF block (a TIFF directory) or an XMP
// packet. Internal to image/. The rules are those of Pillow's ImageOps.exif_transpose.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace sgmae {

// The Orientation tag (274) in the first directory of a TIFF file or EXIF block, in either byte
// order, of any numeric type, perhaps after "Exif\0\0": 1 to 8, or 1 where its value is no
// orientation. Nothing where there is no such tag, or the block is damaged before it.
std::optional<int> exif_orientation(std::span<const std::uint8_t> tiff);

// The XMP packet (tag 700) of a TIFF file; empty where there is none.
std::span<const std::uint8_t> tiff_xmp(std::span<const std::uint8_t> tiff);

// The first tiff:Orientation in an XMP packet, likewise.
std::optional<int> xmp_orientation(std::span<const std::uint8_t> xmp);

// EXIF counts before XMP; 1 where neither says anything.
inline int orientation_of(std::span<const std::uint8_t> exif, std::span<const std::uint8_t> xmp) {
  const std::optional<int> tag = exif_orientation(exif);
  return tag ? *tag : xmp_orientation(xmp).value_or(1);
}

}  // namespace sgmae
