// The first page of a TIFF file, through libtiff: grey, colour, palette and ink as Pillow reads
// them, in whatever strips or tiles, byte and bit order. What 8-bit pixels cannot stand for
// (floats, further bands) is refused by name.
#include <tiffio.h>

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/image/codecs.h"
#include "sgmae/image/decode.h"
#include "sgmae/image/orientation.h"

// Codecs of libtiff that are refused below, because they bring libraries of their own and decode
// without a limit of memory. Defined here, they are not linked.
extern "C" {
int TIFFInitJBIG(TIFF*, int) {
  return 1;
}
int TIFFInitLERC(TIFF*, int) {
  return 1;
}
int TIFFInitLZMA(TIFF*, int) {
  return 1;
}
int TIFFInitWebP(TIFF*, int) {
  return 1;
}
}

namespace sgmae {
namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr auto convert = ", which is not read; convert it to PNG";

// The name of a compression that is not read, else empty.
std::string unread_compression(int compression) {
  switch (compression) {
    case COMPRESSION_NONE:
    case COMPRESSION_CCITTRLE:
    case COMPRESSION_CCITTFAX3:
    case COMPRESSION_CCITTFAX4:
    case COMPRESSION_LZW:
    case COMPRESSION_JPEG:
    case COMPRESSION_ADOBE_DEFLATE:
    case COMPRESSION_DEFLATE:
    case COMPRESSION_PACKBITS:
    case COMPRESSION_ZSTD:
      return "";
    case COMPRESSION_OJPEG:
      return "old-style JPEG";
    case COMPRESSION_JBIG:
      return "JBIG";
    case COMPRESSION_LERC:
      return "LERC";
    case COMPRESSION_LZMA:
      return "LZMA";
    case COMPRESSION_WEBP:
      return "WebP";
    default:
      return str("number ", compression);
  }
}

class Tiff {
 public:
  explicit Tiff(Bytes bytes) : bytes_(bytes) {
    const std::unique_ptr<TIFFOpenOptions, void (*)(TIFFOpenOptions*)> options(
        TIFFOpenOptionsAlloc(), TIFFOpenOptionsFree);
    SGMAE_ASSERT(options != nullptr);
    TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), static_cast<tmsize_t>(max_image_bytes));
    TIFFOpenOptionsSetErrorHandlerExtR(options.get(), on_error, this);
    TIFFOpenOptionsSetWarningHandlerExtR(options.get(), on_warning, this);
    tiff_ = TIFFClientOpenExt("TIFF", "rm", this, read, write, seek, close, size, nullptr, nullptr,
                              options.get());
    check(tiff_ != nullptr, ExitCode::data, "damaged or truncated TIFF: ", message());
    try {
      read_tags();
    } catch (...) {
      TIFFClose(tiff_);
      throw;
    }
  }
  ~Tiff() { TIFFClose(tiff_); }
  Tiff(const Tiff&) = delete;
  Tiff& operator=(const Tiff&) = delete;

  ImageSize size() const { return size_; }
  int channels() const { return photometric_ == PHOTOMETRIC_PALETTE ? 3 : samples_; }

  // Pixels of `region` as 1 or 3 channels. Everything is decoded, so that a damaged file is found
  // out whatever the region; what is kept is the region alone.
  void decode(const CropBox& region, int channels, Image& image) {
    const std::vector<std::uint8_t> stored = samples_of(region);
    reshape(image, {region.width, region.height}, channels);
    std::vector<std::uint8_t> row(static_cast<std::size_t>(region.width) * 4);
    for (int y = 0; y < region.height; ++y) {
      const std::uint8_t* in =
          stored.data() + static_cast<std::ptrdiff_t>(y) * region.width * samples_;
      const int row_channels = to_grey_or_rgb(in, region.width, row.data());
      convert_pixels(row.data(), row_channels,
                     image.pixels.data() + static_cast<std::ptrdiff_t>(y) * region.width * channels,
                     channels, region.width);
    }
  }

  // The band of alpha of the whole image; false where there is none.
  bool decode_alpha(Image& alpha) {
    if (!alpha_) return false;
    const std::vector<std::uint8_t> stored = samples_of(whole(size_));
    reshape(alpha, size_, 1);
    const auto step = static_cast<std::size_t>(samples_);
    for (std::size_t i = 0; i < alpha.pixels.size(); ++i)
      alpha.pixels[i] = stored[(i + 1) * step - 1];
    return true;
  }

 private:
  // The file in memory.
  static tmsize_t read(thandle_t self, void* out, tmsize_t count) {
    auto& tiff = *static_cast<Tiff*>(self);
    if (tiff.at_ >= tiff.bytes_.size() || count <= 0) return 0;
    const std::size_t size =
        std::min(static_cast<std::size_t>(count), tiff.bytes_.size() - tiff.at_);
    std::memcpy(out, tiff.bytes_.data() + tiff.at_, size);
    tiff.at_ += size;
    return static_cast<tmsize_t>(size);
  }
  static tmsize_t write(thandle_t, void*, tmsize_t) { return -1; }
  static toff_t seek(thandle_t self, toff_t offset, int from) {
    auto& tiff = *static_cast<Tiff*>(self);
    tiff.at_ = from == SEEK_SET   ? offset
               : from == SEEK_CUR ? tiff.at_ + offset
                                  : tiff.bytes_.size() + offset;
    return tiff.at_;
  }
  static int close(thandle_t) { return 0; }
  static toff_t size(thandle_t self) { return static_cast<Tiff*>(self)->bytes_.size(); }

  // The first error is the cause of the others.
  static int on_error(TIFF*, void* self, const char*, const char* format, std::va_list values) {
    auto& tiff = *static_cast<Tiff*>(self);
    if (tiff.message_[0] == 0)
      std::vsnprintf(tiff.message_.data(), tiff.message_.size(), format, values);
    return 1;
  }
  static int on_warning(TIFF*, void*, const char*, const char*, std::va_list) { return 1; }
  const char* message() const { return message_[0] != 0 ? message_.data() : "not readable"; }

  int tag(std::uint32_t which) const {
    std::uint16_t value = 0;
    return TIFFGetFieldDefaulted(tiff_, which, &value) != 0 ? value : 0;
  }

  void read_tags() {
    std::uint32_t width = 0, height = 0;
    TIFFGetField(tiff_, TIFFTAG_IMAGEWIDTH, &width);
    TIFFGetField(tiff_, TIFFTAG_IMAGELENGTH, &height);
    size_ = checked_size(width, height);
    const void* dng = nullptr;
    check(TIFFGetField(tiff_, TIFFTAG_DNGVERSION, &dng) == 0, ExitCode::data,
          "the file is a camera raw file (DNG)", convert);

    const int compression = tag(TIFFTAG_COMPRESSION);
    const std::string unread = unread_compression(compression);
    check(unread.empty(), ExitCode::data, "a TIFF with compression ", unread,
          ", which is not read; write it with LZW or deflate");

    bits_ = tag(TIFFTAG_BITSPERSAMPLE);
    samples_ = tag(TIFFTAG_SAMPLESPERPIXEL);
    photometric_ = tag(TIFFTAG_PHOTOMETRIC);
    separate_ = tag(TIFFTAG_PLANARCONFIG) == PLANARCONFIG_SEPARATE;
    const int format = tag(TIFFTAG_SAMPLEFORMAT);
    check(format != SAMPLEFORMAT_IEEEFP && format != SAMPLEFORMAT_COMPLEXIEEEFP, ExitCode::data,
          "a TIFF of ", bits_, "-bit floats", convert, " of 8 bits, scaled as suits the data");
    check(format == SAMPLEFORMAT_UINT, ExitCode::data, "a TIFF of signed or unusual samples",
          convert);

    int colours = 0;
    bool fits = false;
    switch (photometric_) {
      case PHOTOMETRIC_MINISWHITE:
        colours = 1;
        fits = bits_ == 1 || bits_ == 2 || bits_ == 4 || bits_ == 8;
        break;
      case PHOTOMETRIC_MINISBLACK:
        colours = 1;
        fits = bits_ == 1 || bits_ == 2 || bits_ == 4 || bits_ == 8 || bits_ == 16;
        break;
      case PHOTOMETRIC_PALETTE:
        colours = 1;
        fits = bits_ == 1 || bits_ == 2 || bits_ == 4 || bits_ == 8;
        break;
      case PHOTOMETRIC_RGB:
        colours = 3;
        fits = bits_ == 8 || bits_ == 16;
        break;
      case PHOTOMETRIC_SEPARATED:
        colours = 4;
        fits = bits_ == 8 || bits_ == 16;
        break;
      case PHOTOMETRIC_YCBCR:
        check(compression == COMPRESSION_JPEG && !separate_, ExitCode::data,
              "a TIFF of YCbCr colours that are not stored as JPEG", convert);
        TIFFSetField(tiff_, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
        colours = 3;
        fits = bits_ == 8;
        break;
      default:
        fail(ExitCode::data, "a TIFF with photometric interpretation ", photometric_,
             " (neither grey, RGB, palette nor CMYK)", convert);
    }
    check(fits, ExitCode::data, "a TIFF of ", bits_, " bits a sample (photometric interpretation ",
          photometric_, ")", convert, " of 8 bits, scaled as suits the data");

    // One band of alpha may follow the colours; a file of four that does not say what the fourth is
    // means it so. Other bands are data that would be lost.
    std::uint16_t extra = 0;
    const std::uint16_t* kinds = nullptr;
    if (TIFFGetField(tiff_, TIFFTAG_EXTRASAMPLES, &extra, &kinds) == 0) extra = 0;
    const bool alpha = extra == 1 && kinds[0] != EXTRASAMPLE_UNSPECIFIED &&
                       samples_ == colours + 1 && bits_ >= 8 &&
                       photometric_ != PHOTOMETRIC_MINISWHITE && colours < 4;
    const bool rgba = extra == 0 && photometric_ == PHOTOMETRIC_RGB && samples_ == 4;
    check(samples_ == colours || alpha || rgba, ExitCode::data, "a TIFF of ", samples_,
          " bands, where ", colours, " are read",
          colours < 4 ? " (and one that is marked as alpha)" : "",
          "; write the bands you need to a PNG");
    alpha_ = alpha || rgba;
    multiplied_ = alpha && kinds[0] == EXTRASAMPLE_ASSOCALPHA && colours == 3;
    check(!(samples_ == 2 && (bits_ == 16 || kinds[0] == EXTRASAMPLE_ASSOCALPHA)), ExitCode::data,
          "a TIFF of grey with 16 bits or multiplied by its alpha", convert);

    if (photometric_ == PHOTOMETRIC_PALETTE) {
      std::array<std::uint16_t*, 3> colour{};
      check(TIFFGetField(tiff_, TIFFTAG_COLORMAP, &colour[0], &colour[1], &colour[2]) != 0,
            ExitCode::data, "damaged TIFF: its colours are numbers, and the palette is missing");
      for (std::size_t i = 0; i < std::size_t{1} << bits_; ++i)
        for (std::size_t c = 0; c < 3; ++c)
          palette_[3 * i + c] = static_cast<std::uint8_t>(colour[c][i] >> 8);
    }
  }

  // `count` pixels from `first` on of a row or tile row with `in_row` samples a pixel, to 8 bits.
  void unpack(const std::uint8_t* row, int first, int count, int in_row, std::uint8_t* out,
              int out_step) const {
    if (bits_ == 8 && in_row == out_step) {
      std::copy_n(row + static_cast<std::ptrdiff_t>(first) * in_row,
                  static_cast<std::ptrdiff_t>(count) * in_row, out);
      return;
    }
    for (int i = 0; i < count; ++i, out += out_step) {
      for (int s = 0; s < in_row; ++s) {
        const std::size_t at = static_cast<std::size_t>((first + i) * in_row + s);
        if (bits_ == 8) {
          out[s] = row[at];
        } else if (bits_ == 16) {
          std::uint16_t value;
          std::memcpy(&value, row + 2 * at, 2);
          // Pillow saturates 16-bit grey at 255 where it drops the lower byte of 16-bit colour.
          out[s] = static_cast<std::uint8_t>(
              photometric_ == PHOTOMETRIC_MINISBLACK ? std::min<int>(value, 255) : value >> 8);
        } else {
          const std::size_t bits = static_cast<std::size_t>(bits_), most = (1u << bits) - 1;
          const std::size_t value = row[at * bits / 8] >> (8 - bits - at * bits % 8) & most;
          out[s] = static_cast<std::uint8_t>(
              photometric_ == PHOTOMETRIC_PALETTE ? value : value * 255 / most);
        }
      }
    }
  }

  void damaged_unless(bool done) const {
    check(done, ExitCode::data, "damaged or truncated TIFF: ", message());
  }

  // All bands of `region`, 8 bits each: [height, width, samples_].
  std::vector<std::uint8_t> samples_of(const CropBox& region) {
    const std::size_t count =
        static_cast<std::size_t>(region.width) * static_cast<std::size_t>(region.height);
    std::vector<std::uint8_t> stored(count * static_cast<std::size_t>(samples_));
    if (TIFFIsTiled(tiff_))
      read_tiles(region, stored);
    else
      read_rows(region, stored);
    return stored;
  }

  void read_rows(const CropBox& region, std::vector<std::uint8_t>& stored) {
    const int in_row = separate_ ? 1 : samples_;
    const auto row_bytes = static_cast<std::size_t>(TIFFScanlineSize64(tiff_));
    damaged_unless(
        row_bytes >=
            (static_cast<std::size_t>(size_.width) * static_cast<std::size_t>(in_row * bits_) + 7) /
                8 &&
        row_bytes <= std::size_t{16} * static_cast<std::size_t>(size_.width) + 16);
    std::vector<std::uint8_t> row(row_bytes);
    for (int s = 0; s < (separate_ ? samples_ : 1); ++s) {
      for (int y = 0; y < size_.height; ++y) {
        damaged_unless(TIFFReadScanline(tiff_, row.data(), static_cast<std::uint32_t>(y),
                                        static_cast<std::uint16_t>(s)) == 1);
        if (y < region.y || y >= region.y + region.height) continue;
        unpack(row.data(), region.x, region.width, in_row,
               &stored[static_cast<std::size_t>(
                   static_cast<std::ptrdiff_t>(y - region.y) * region.width * samples_ + s)],
               samples_);
      }
    }
  }

  void read_tiles(const CropBox& region, std::vector<std::uint8_t>& stored) {
    std::uint32_t width = 0, height = 0;
    TIFFGetField(tiff_, TIFFTAG_TILEWIDTH, &width);
    TIFFGetField(tiff_, TIFFTAG_TILELENGTH, &height);
    // Tiles may stick out of the image, but not cost more than it by far.
    constexpr std::uint64_t longest_side = 1 << 16, spare = 1 << 24;
    const std::uint64_t pixels =
        static_cast<std::uint64_t>(size_.width) * static_cast<std::uint64_t>(size_.height);
    check(width > 0 && height > 0 && width <= longest_side && height <= longest_side &&
              covered(size_.width, width) * covered(size_.height, height) <= 4 * pixels + spare,
          ExitCode::data, "a TIFF of ", size_.width, "x", size_.height, " pixels in tiles of ",
          width, "x", height, ", far larger than the image; convert it to PNG");
    const int tile_width = static_cast<int>(width), tile_height = static_cast<int>(height);
    const int in_row = separate_ ? 1 : samples_;
    const auto tile_bytes = static_cast<std::size_t>(TIFFTileSize64(tiff_));
    const auto row_bytes = static_cast<std::size_t>(TIFFTileRowSize64(tiff_));
    damaged_unless(
        row_bytes >=
            (static_cast<std::size_t>(width) * static_cast<std::size_t>(in_row * bits_) + 7) / 8 &&
        tile_bytes >= row_bytes * height && tile_bytes <= std::size_t{16} * width * height + 16);
    std::vector<std::uint8_t> tile(tile_bytes);
    for (int s = 0; s < (separate_ ? samples_ : 1); ++s) {
      for (int top = 0; top < size_.height; top += tile_height) {
        for (int left = 0; left < size_.width; left += tile_width) {
          const std::uint32_t number =
              TIFFComputeTile(tiff_, static_cast<std::uint32_t>(left),
                              static_cast<std::uint32_t>(top), 0, static_cast<std::uint16_t>(s));
          damaged_unless(
              TIFFReadEncodedTile(tiff_, number, tile.data(), static_cast<tmsize_t>(tile_bytes)) ==
              static_cast<tmsize_t>(tile_bytes));
          const int x0 = std::max(left, region.x), y0 = std::max(top, region.y);
          const int x1 = std::min(left + tile_width, region.x + region.width);
          const int y1 = std::min(top + tile_height, region.y + region.height);
          if (x0 >= x1) continue;
          for (int y = y0; y < y1; ++y)
            unpack(tile.data() + static_cast<std::size_t>(y - top) * row_bytes, x0 - left, x1 - x0,
                   in_row,
                   &stored[static_cast<std::size_t>(
                       (static_cast<std::ptrdiff_t>(y - region.y) * region.width + x0 - region.x) *
                           samples_ +
                       s)],
                   samples_);
        }
      }
    }
  }

  // How much of a side tiles of this length cover.
  static std::uint64_t covered(int side, std::uint64_t tile) {
    return (static_cast<std::uint64_t>(side) + tile - 1) / tile * tile;
  }

  // Samples to grey (returns 1) or RGB (3). Alpha is dropped as Pillow drops it.
  int to_grey_or_rgb(const std::uint8_t* in, int count, std::uint8_t* out) const {
    switch (photometric_) {
      case PHOTOMETRIC_MINISWHITE:
        for (int i = 0; i < count; ++i, in += samples_)
          out[i] = static_cast<std::uint8_t>(255 - in[0]);
        return 1;
      case PHOTOMETRIC_MINISBLACK:
        for (int i = 0; i < count; ++i, in += samples_) out[i] = in[0];
        return 1;
      case PHOTOMETRIC_PALETTE:
        for (int i = 0; i < count; ++i, in += samples_, out += 3)
          std::copy_n(&palette_[std::size_t{3} * in[0]], 3, out);
        return 3;
      case PHOTOMETRIC_SEPARATED:
        for (int i = 0; i < 4 * count; ++i) out[i] = static_cast<std::uint8_t>(255 - in[i]);
        cmyk_to_rgb(out, count);
        return 3;
      default:
        for (int i = 0; i < count; ++i, in += samples_, out += 3) {
          const int alpha = multiplied_ ? in[3] : 255;
          for (int c = 0; c < 3; ++c)
            out[c] = alpha == 255 ? in[c]
                     : alpha == 0 ? std::uint8_t{0}
                                  : static_cast<std::uint8_t>(std::min(in[c] * 255 / alpha, 255));
        }
        return 3;
    }
  }

  Bytes bytes_;
  std::size_t at_ = 0;
  std::array<char, 256> message_{};
  TIFF* tiff_ = nullptr;
  ImageSize size_;
  int bits_ = 0, samples_ = 0, photometric_ = 0;
  bool separate_ = false;    // each band by itself
  bool alpha_ = false;       // the last band is alpha
  bool multiplied_ = false;  // colours are multiplied by alpha
  std::array<std::uint8_t, 3 * 256> palette_{};
};

}  // namespace

StoredInfo read_tiff_info(std::span<const std::uint8_t> bytes) {
  const Tiff tiff(bytes);
  return {tiff.size(), orientation_of(bytes, tiff_xmp(bytes)), tiff.channels()};
}

void decode_tiff(std::span<const std::uint8_t> bytes, const CropBox& region, int channels,
                 Image& image) {
  Tiff(bytes).decode(region, channels, image);
}

bool decode_tiff_alpha(std::span<const std::uint8_t> bytes, Image& alpha) {
  return Tiff(bytes).decode_alpha(alpha);
}

}  // namespace sgmae
