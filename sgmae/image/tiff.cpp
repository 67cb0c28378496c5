// TIFF files through libtiff, in whatever strips or tiles, byte and bit order. As 8-bit pixels the
// first page: grey, colour, palette and ink as Pillow reads them. What these cannot stand for
// (floats, further bands) is refused there by name, and read with its values as stored.
#include <tiffio.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
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
// What has values that can be kept.
constexpr auto keep =
    ", which 8-bit pixels cannot stand for; keep the images' values with --values stored, or "
    "convert them to PNG of 8 bits, scaled as suits the data";

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
  // At the given page; of all_pages at the first.
  Tiff(Bytes bytes, int page) : bytes_(bytes) {
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
      for (int i = 0; i < page; ++i)
        check(next_page(), ExitCode::data, "the TIFF has no page ", page + 1);
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
  bool eight_bit() const { return refusal_.empty(); }

  // The value that GDAL's tag names for no data, where fp32 can hold it.
  std::optional<double> nodata() const {
    const std::optional<double> value = gdal_tag();
    return value && fits_fp32(*value) ? value : std::nullopt;
  }

  // On to the next page that is an image of its own; false where there is none.
  bool next_page() {
    while (TIFFReadDirectory(tiff_) != 0) {
      std::uint32_t kind = 0;
      TIFFGetField(tiff_, TIFFTAG_SUBFILETYPE, &kind);
      if ((kind & (FILETYPE_REDUCEDIMAGE | FILETYPE_MASK)) != 0) continue;
      read_tags();
      return true;
    }
    check(message_[0] == 0, ExitCode::data, "damaged or truncated TIFF: ", message());
    return false;
  }

  // Pixels of `region` as 1 or 3 channels. Everything is decoded, so that a damaged file is found
  // out whatever the region; what is kept is the region alone.
  void decode(const CropBox& region, int channels, Image& image) {
    check(eight_bit(), ExitCode::data, refusal_);
    const auto stored = samples_of<std::uint8_t>(region);
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

  // The values of `region`, from channel `first` of `bands` on.
  void decode(const CropBox& region, int first, Bands& bands) {
    auto stored = samples_of<float>(region);
    if (stored.size() == bands.values.size()) {
      bands.values = std::move(stored);
      return;
    }
    const auto own = static_cast<std::size_t>(channels());
    const auto all = static_cast<std::size_t>(bands.channels);
    float* out = bands.values.data() + first;
    if (photometric_ == PHOTOMETRIC_PALETTE) {
      for (const float index : stored) {
        std::copy_n(&palette_[std::size_t{3} * static_cast<std::uint8_t>(index)], own, out);
        out += all;
      }
    } else {
      for (auto in = stored.begin(); in != stored.end(); in += samples_, out += all)
        std::copy_n(in, own, out);
    }
  }

  // The band of alpha of the whole image; false where there is none.
  bool decode_alpha(Image& alpha) {
    if (!alpha_ || !eight_bit()) return false;
    const auto stored = samples_of<std::uint8_t>(whole(size_));
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

  // The number that GDAL's tag for no data is as text, NaN too; libtiff does not know the tag, and
  // so gives it as the file has it.
  std::optional<double> gdal_tag() const {
    const TIFFField* const field = TIFFFindField(tiff_, TIFFTAG_GDAL_NODATA, TIFF_ANY);
    std::uint32_t count = 0;
    const char* text = nullptr;
    if (!field || TIFFFieldDataType(field) != TIFF_ASCII || !TIFFFieldPassCount(field) ||
        TIFFGetField(tiff_, TIFFTAG_GDAL_NODATA, &count, &text) == 0 || !text)
      return std::nullopt;
    std::string_view number(text, ::strnlen(text, count));
    number.remove_prefix(std::min(number.find_first_not_of(" +"), number.size()));
    number.remove_suffix(number.size() - (number.find_last_not_of(' ') + 1));
    double value = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
    const bool read = error == std::errc() && end == number.data() + number.size();
    return read ? std::optional(value) : std::nullopt;
  }
  static bool fits_fp32(double value) {  // the largest with few digits may be a little more
    return std::abs(value) <= std::numeric_limits<float>::max() * (1 + 2e-8);
  }

  // What stands in tiles that GDAL left out.
  template <class Value>
  Value blank() const {
    const double value = gdal_tag().value_or(0);
    if (format_ == SAMPLEFORMAT_UINT && !(value >= 0 && value < std::ldexp(1, bits_))) return 0;
    if constexpr (std::is_same_v<Value, float>)
      return fits_fp32(value) ? static_cast<float>(value) : std::nanf("");
    else
      return bits_ == 8 ? static_cast<Value>(value) : Value{0};
  }

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
    format_ = tag(TIFFTAG_SAMPLEFORMAT);
    if (photometric_ == PHOTOMETRIC_YCBCR) {
      check(compression == COMPRESSION_JPEG && !separate_, ExitCode::data,
            "a TIFF of YCbCr colours that are not stored as JPEG", convert);
      TIFFSetField(tiff_, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
    }
    alpha_ = multiplied_ = false;
    refusal_ = eight_bit_refusal();
    check(samples_ > 0 && samples_ <= max_channels, ExitCode::data, "a TIFF of ", samples_,
          " bands, more than the limit of ", max_channels);
    check(eight_bit() || has_values(), ExitCode::data, refusal_);

    if (photometric_ == PHOTOMETRIC_PALETTE) {
      std::array<std::uint16_t*, 3> colour{};
      check(TIFFGetField(tiff_, TIFFTAG_COLORMAP, &colour[0], &colour[1], &colour[2]) != 0,
            ExitCode::data, "damaged TIFF: its colours are numbers, and the palette is missing");
      for (std::size_t i = 0; i < std::size_t{1} << bits_; ++i)
        for (std::size_t c = 0; c < 3; ++c)
          palette_[3 * i + c] = static_cast<std::uint8_t>(colour[c][i] >> 8);
    }
  }

  // Why the page is not read as 8-bit pixels; empty where it is.
  std::string eight_bit_refusal() {
    if (format_ == SAMPLEFORMAT_IEEEFP) return str("a TIFF of ", bits_, "-bit floats", keep);
    if (format_ == SAMPLEFORMAT_INT) return str("a TIFF of signed samples", keep);
    if (format_ != SAMPLEFORMAT_UINT) return str("a TIFF of complex or unusual samples", convert);
    const bool up_to_8 = bits_ == 1 || bits_ == 2 || bits_ == 4 || bits_ == 8;
    int colours = 0;
    bool fits = false;
    switch (photometric_) {
      case PHOTOMETRIC_MINISWHITE:
      case PHOTOMETRIC_PALETTE:
        colours = 1;
        fits = up_to_8;
        break;
      case PHOTOMETRIC_MINISBLACK:
        colours = 1;
        fits = up_to_8 || bits_ == 16;
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
        colours = 3;
        fits = bits_ == 8;
        break;
      default:
        return str("a TIFF with photometric interpretation ", photometric_,
                   " (neither grey, RGB, palette nor CMYK)", convert);
    }
    if (!fits)
      return str("a TIFF of ", bits_, " bits a sample (photometric interpretation ", photometric_,
                 ")", keep);

    // One band of alpha may follow the colours; a file of four that does not say what the fourth is
    // means it so. Other bands are data that would be lost.
    std::uint16_t extra = 0;
    const std::uint16_t* kinds = nullptr;
    if (TIFFGetField(tiff_, TIFFTAG_EXTRASAMPLES, &extra, &kinds) == 0) extra = 0;
    const bool alpha = extra == 1 && kinds[0] != EXTRASAMPLE_UNSPECIFIED &&
                       samples_ == colours + 1 && bits_ >= 8 &&
                       photometric_ != PHOTOMETRIC_MINISWHITE && colours < 4;
    const bool rgba = extra == 0 && photometric_ == PHOTOMETRIC_RGB && samples_ == 4;
    if (samples_ != colours && !alpha && !rgba)
      return str("a TIFF of ", samples_, " bands, where ", colours, " are read as 8-bit pixels",
                 colours < 4 ? " (and one that is marked as alpha)" : "",
                 "; keep all bands with --values stored, or write those you need to a PNG");
    if (samples_ == 2 && (bits_ == 16 || kinds[0] == EXTRASAMPLE_ASSOCALPHA))
      return str("a TIFF of grey with 16 bits or multiplied by its alpha", keep);
    alpha_ = alpha || rgba;
    multiplied_ = alpha && kinds[0] == EXTRASAMPLE_ASSOCALPHA && colours == 3;
    return "";
  }

  // Whether the page's values can be kept as they are.
  bool has_values() const {
    switch (photometric_) {
      case PHOTOMETRIC_PALETTE:
        return format_ == SAMPLEFORMAT_UINT && bits_ <= 8 && samples_ == 1;
      case PHOTOMETRIC_MINISWHITE:
      case PHOTOMETRIC_MINISBLACK:
      case PHOTOMETRIC_RGB:
      case PHOTOMETRIC_MASK:
      case PHOTOMETRIC_SEPARATED:
      case PHOTOMETRIC_YCBCR:
      case PHOTOMETRIC_CIELAB:
      case PHOTOMETRIC_ICCLAB:
        break;
      default:
        return false;
    }
    const bool whole_bytes = bits_ == 8 || bits_ == 16 || bits_ == 32 || bits_ == 64;
    return format_ == SAMPLEFORMAT_UINT ? whole_bytes || (bits_ >= 1 && bits_ < 32)
           : format_ == SAMPLEFORMAT_INT
               ? whole_bytes
               : format_ == SAMPLEFORMAT_IEEEFP && whole_bytes && bits_ > 8;
  }

  // `count` pixels from `first` on of a row or tile row with `in_row` samples a pixel, as stored.
  void unpack(const std::uint8_t* row, int first, int count, int in_row, float* out,
              int out_step) const {
    const auto each = [&](const auto& value) {
      std::size_t at = static_cast<std::size_t>(first) * static_cast<std::size_t>(in_row);
      const bool alone = in_row == out_step;  // in `out`, and so nothing is to be skipped there
      const std::ptrdiff_t group = alone ? std::ptrdiff_t{count} * in_row : in_row;
      for (int i = 0; i < (alone ? 1 : count); ++i, out += out_step)
        for (std::ptrdiff_t s = 0; s < group; ++s) out[s] = value(at++);
    };
    const auto numbers = [&]<class Number>(Number) {
      each([row](std::size_t at) {
        Number number;
        std::memcpy(&number, row + sizeof number * at, sizeof number);
        return static_cast<float>(number);
      });
    };
    const bool real = format_ == SAMPLEFORMAT_IEEEFP, is_signed = format_ == SAMPLEFORMAT_INT;
    if (bits_ == 8) {
      is_signed ? numbers(std::int8_t{}) : numbers(std::uint8_t{});
    } else if (bits_ == 16 && real) {
      each([row](std::size_t at) {
        std::uint16_t half;
        std::memcpy(&half, row + 2 * at, 2);
        return half_to_float(half);
      });
    } else if (bits_ == 16) {
      is_signed ? numbers(std::int16_t{}) : numbers(std::uint16_t{});
    } else if (bits_ == 32) {
      real ? numbers(float{}) : is_signed ? numbers(std::int32_t{}) : numbers(std::uint32_t{});
    } else if (bits_ == 64) {
      real ? numbers(double{}) : is_signed ? numbers(std::int64_t{}) : numbers(std::uint64_t{});
    } else {
      const auto bits = static_cast<std::size_t>(bits_);
      each([row, bits](std::size_t at) {
        std::uint32_t value = 0;
        for (std::size_t bit = at * bits; bit < (at + 1) * bits; ++bit)
          value = value << 1 | (row[bit / 8] >> (7 - bit % 8) & 1);
        return static_cast<float>(value);
      });
    }
  }

  // The same to 8 bits.
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

  // Of uncompressed strips and tiles that are nowhere libtiff reads the beginning of the file.
  void not_missing(std::uint32_t number) const {
    check(TIFFGetStrileByteCount(tiff_, number) > 0, ExitCode::data,
          "damaged or truncated TIFF: strip or tile ", number, " is missing");
  }

  // All bands of `region`, 8 bits each or as stored: [height, width, samples_].
  template <class Value>
  std::vector<Value> samples_of(const CropBox& region) {
    const std::size_t count =
        static_cast<std::size_t>(region.width) * static_cast<std::size_t>(region.height);
    std::vector<Value> stored(count * static_cast<std::size_t>(samples_), blank<Value>());
    if (TIFFIsTiled(tiff_))
      read_tiles(region, stored);
    else
      read_rows(region, stored);
    return stored;
  }

  // What a row of samples takes, and what one may take that libtiff hands out.
  std::size_t packed_bytes(std::size_t width) const {
    return (width * static_cast<std::size_t>((separate_ ? 1 : samples_) * bits_) + 7) / 8;
  }
  std::size_t most_bytes(std::size_t width) const {
    return std::max(16 * width, 2 * packed_bytes(width)) + 16;
  }

  // What of a row of the image belongs to `region`, to its place there.
  template <class Value>
  void place(const std::uint8_t* row, int y, int s, const CropBox& region,
             std::vector<Value>& stored) const {
    if (y < region.y || y >= region.y + region.height) return;
    unpack(row, region.x, region.width, separate_ ? 1 : samples_,
           &stored[static_cast<std::size_t>(
               static_cast<std::ptrdiff_t>(y - region.y) * region.width * samples_ + s)],
           samples_);
  }

  template <class Value>
  void read_rows(const CropBox& region, std::vector<Value>& stored) {
    const auto width = static_cast<std::size_t>(size_.width);
    const auto row_bytes = static_cast<std::size_t>(TIFFScanlineSize64(tiff_));
    damaged_unless(row_bytes >= packed_bytes(width) && row_bytes <= most_bytes(width));
    // libtiff inflates a strip as a whole twice as fast as by rows. A single one may hold all of a
    // large image, though.
    constexpr std::size_t most_held = std::size_t{1} << 26;
    std::uint32_t rows_each = 0;
    TIFFGetFieldDefaulted(tiff_, TIFFTAG_ROWSPERSTRIP, &rows_each);
    const auto height = static_cast<std::uint32_t>(size_.height);
    const std::size_t rows = std::clamp<std::uint32_t>(rows_each, 1, height);
    const bool by_strips = row_bytes * rows <= most_held;
    std::vector<std::uint8_t> held(by_strips ? row_bytes * rows : row_bytes);
    for (int s = 0; s < (separate_ ? samples_ : 1); ++s) {
      const auto plane = static_cast<std::uint16_t>(s);
      for (std::uint32_t y = 0; y < height; ++y) {
        const std::size_t in_strip = by_strips ? y % rows : 0;
        if (!by_strips) {
          damaged_unless(TIFFReadScanline(tiff_, held.data(), y, plane) == 1);
        } else if (in_strip == 0) {
          const auto wanted =
              static_cast<tmsize_t>(row_bytes * std::min<std::size_t>(rows, height - y));
          const std::uint32_t strip = TIFFComputeStrip(tiff_, y, plane);
          not_missing(strip);
          damaged_unless(TIFFReadEncodedStrip(tiff_, strip, held.data(), wanted) == wanted);
        }
        place(held.data() + in_strip * row_bytes, static_cast<int>(y), s, region, stored);
      }
    }
  }

  template <class Value>
  void read_tiles(const CropBox& region, std::vector<Value>& stored) {
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
    damaged_unless(row_bytes >= packed_bytes(width) && tile_bytes >= row_bytes * height &&
                   tile_bytes <= most_bytes(width) * height);
    std::vector<std::uint8_t> tile(tile_bytes);
    for (int s = 0; s < (separate_ ? samples_ : 1); ++s) {
      for (int top = 0; top < size_.height; top += tile_height) {
        for (int left = 0; left < size_.width; left += tile_width) {
          const std::uint32_t number =
              TIFFComputeTile(tiff_, static_cast<std::uint32_t>(left),
                              static_cast<std::uint32_t>(top), 0, static_cast<std::uint16_t>(s));
          // GDAL leaves out tiles of nothing but blank(), and says so by zeros.
          if (TIFFGetStrileByteCount(tiff_, number) == 0 && TIFFGetStrileOffset(tiff_, number) == 0)
            continue;
          not_missing(number);
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
  int bits_ = 0, samples_ = 0, photometric_ = 0, format_ = 0;
  std::string refusal_;      // why the page is not read as 8-bit pixels, if it is not
  bool separate_ = false;    // each band by itself
  bool alpha_ = false;       // the last band is alpha
  bool multiplied_ = false;  // colours are multiplied by alpha
  std::array<std::uint8_t, 3 * 256> palette_{};
};

}  // namespace

StoredInfo read_tiff_info(std::span<const std::uint8_t> bytes, int page) {
  Tiff tiff(bytes, page);
  StoredInfo info{tiff.size(), orientation_of(bytes, tiff_xmp(bytes)), tiff.channels(),
                  tiff.eight_bit()};
  if (page != all_pages) return info;
  while (tiff.next_page()) {
    check(tiff.size() == info.size, ExitCode::data, "its pages are of different sizes (",
          info.size.width, "x", info.size.height, " and ", tiff.size().width, "x",
          tiff.size().height,
          "), and so no channels of one image; read them as images, --pages "
          "images, or the first alone, --pages first");
    info.channels += tiff.channels();
    info.eight_bit = false;
    check(info.channels <= max_channels, ExitCode::data,
          "its pages have more channels than the limit of ", max_channels);
  }
  return info;
}

std::optional<double> nodata_tag(std::span<const std::uint8_t> bytes, const ImageInfo& info) {
  if (info.format != ImageFormat::tiff) return std::nullopt;
  return Tiff(bytes, info.page).nodata();
}

int count_tiff_pages(std::span<const std::uint8_t> bytes) {
  Tiff tiff(bytes, 0);
  int pages = 1;
  while (tiff.next_page()) ++pages;
  return pages;
}

void decode_tiff(std::span<const std::uint8_t> bytes, int page, const CropBox& region, int channels,
                 Image& image) {
  Tiff(bytes, page).decode(region, channels, image);
}

void decode_tiff_bands(std::span<const std::uint8_t> bytes, int page, const CropBox& region,
                       Bands& bands) {
  Tiff tiff(bytes, page);
  int first = 0;
  do {
    SGMAE_ASSERT(first + tiff.channels() <= bands.channels);
    tiff.decode(region, first, bands);
    first += tiff.channels();
  } while (page == all_pages && tiff.next_page());
}

bool decode_tiff_alpha(std::span<const std::uint8_t> bytes, Image& alpha) {
  return Tiff(bytes, 0).decode_alpha(alpha);
}

}  // namespace sgmae
