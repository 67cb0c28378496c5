// The first frame of a GIF, through giflib.
#include <gif_lib.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/image/codecs.h"

namespace sgmae {
namespace {

// A file read up to the pixels of its first frame.
class FirstFrame {
 public:
  explicit FirstFrame(std::span<const std::uint8_t> bytes) : rest_(bytes) {
    int error = 0;
    gif_ = DGifOpen(&rest_, read, &error);
    check(gif_ != nullptr, ExitCode::data, "damaged or truncated GIF: ", text(error));
    try {
      find();
    } catch (...) {
      close();
      throw;
    }
  }
  ~FirstFrame() { close(); }
  FirstFrame(const FirstFrame&) = delete;
  FirstFrame& operator=(const FirstFrame&) = delete;

  const GifImageDesc& place() const { return gif_->Image; }
  const ColorMapObject* colours() const {
    return gif_->Image.ColorMap != nullptr ? gif_->Image.ColorMap : gif_->SColorMap;
  }
  int around() const { return around_; }  // the number of the colour around the frame

  // A frame that leaves the canvas enlarges it.
  ImageSize canvas() const {
    return {std::max(gif_->SWidth, place().Left + place().Width),
            std::max(gif_->SHeight, place().Top + place().Height)};
  }

  void read_row(std::vector<std::uint8_t>& row) {
    check(DGifGetLine(gif_, row.data(), static_cast<int>(row.size())) == GIF_OK, ExitCode::data,
          "damaged or truncated GIF: ", text(gif_->Error));
  }

 private:
  static int read(GifFileType* gif, GifByteType* out, int count) {
    auto& rest = *static_cast<std::span<const std::uint8_t>*>(gif->UserData);
    const std::size_t size = std::min(rest.size(), static_cast<std::size_t>(count));
    if (size > 0) std::memcpy(out, rest.data(), size);
    rest = rest.subspan(size);
    return static_cast<int>(size);
  }
  static const char* text(int error) {
    const char* words = GifErrorString(error);
    return words != nullptr ? words : "unknown error";
  }
  void close() {
    int error = 0;
    DGifCloseFile(gif_, &error);
  }
  void damaged_unless(int status) const {
    check(status == GIF_OK, ExitCode::data, "damaged or truncated GIF: ", text(gif_->Error));
  }

  void find() {
    for (;;) {
      GifRecordType type;
      damaged_unless(DGifGetRecordType(gif_, &type));
      if (type == IMAGE_DESC_RECORD_TYPE) break;
      check(type == EXTENSION_RECORD_TYPE, ExitCode::data, "damaged GIF: there is no image in it");
      int code = 0;
      GifByteType* block = nullptr;
      damaged_unless(DGifGetExtension(gif_, &code, &block));
      // A frame with a transparent colour lies on a canvas of it, as in Pillow.
      if (code == GRAPHICS_EXT_FUNC_CODE && block != nullptr && block[0] >= 4 &&
          (block[1] & 1) != 0)
        around_ = block[4];
      while (block != nullptr) damaged_unless(DGifGetExtensionNext(gif_, &block));
    }
    damaged_unless(DGifGetImageDesc(gif_));
    check(place().Width > 0 && place().Height > 0, ExitCode::data,
          "damaged GIF: its first frame has no pixels");
  }

  std::span<const std::uint8_t> rest_;
  GifFileType* gif_ = nullptr;
  int around_ = 0;
};

}  // namespace

StoredInfo read_gif_info(std::span<const std::uint8_t> bytes) {
  const FirstFrame frame(bytes);
  return {frame.canvas(), 1, frame.colours() == nullptr ? 1 : 3};
}

void decode_gif(std::span<const std::uint8_t> bytes, const CropBox& region, int channels,
                Image& image) {
  FirstFrame frame(bytes);
  const GifImageDesc& place = frame.place();
  std::array<std::uint8_t, 256 * 3> palette{};  // as in Pillow: colours that are missing are black
  const ColorMapObject* colours = frame.colours();
  for (int i = 0; i < 256; ++i) {
    std::uint8_t* colour = &palette[static_cast<std::size_t>(i) * 3];
    if (colours == nullptr) {
      colour[0] = colour[1] = colour[2] = static_cast<std::uint8_t>(i);
    } else if (i < colours->ColorCount) {
      colour[0] = colours->Colors[i].Red;
      colour[1] = colours->Colors[i].Green;
      colour[2] = colours->Colors[i].Blue;
    }
  }
  std::array<std::uint8_t, 256 * 3> converted{};
  convert_pixels(palette.data(), 3, converted.data(), channels, 256);
  const auto put = [&](int number, std::uint8_t* out) {
    std::copy_n(&converted[static_cast<std::size_t>(number * channels)], channels, out);
  };

  reshape(image, {region.width, region.height}, channels);
  for (std::size_t at = 0; at < image.pixels.size(); at += static_cast<std::size_t>(channels))
    put(frame.around(), &image.pixels[at]);
  const int first = std::max(region.x, place.Left);
  const int last = std::min(region.x + region.width, place.Left + place.Width);
  std::vector<std::uint8_t> row(static_cast<std::size_t>(place.Width));
  // Every row, so that a damaged file is found out whatever the region.
  const auto next = [&](int y) {
    frame.read_row(row);
    const int target = place.Top + y - region.y;
    if (target < 0 || target >= region.height) return;
    std::uint8_t* out =
        image.pixels.data() + static_cast<std::ptrdiff_t>(target) * region.width * channels;
    for (int x = first; x < last; ++x)
      put(row[static_cast<std::size_t>(x - place.Left)], out + (x - region.x) * channels);
  };
  if (place.Interlace) {
    constexpr int starts[]{0, 4, 2, 1}, steps[]{8, 8, 4, 2};
    for (int pass = 0; pass < 4; ++pass)
      for (int y = starts[pass]; y < place.Height; y += steps[pass]) next(y);
  } else {
    for (int y = 0; y < place.Height; ++y) next(y);
  }
}

}  // namespace sgmae
