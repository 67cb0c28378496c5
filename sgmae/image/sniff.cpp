#include "sgmae/image/sniff.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <string>
#include <string_view>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

using namespace std::string_view_literals;

struct Signature {
  std::string_view magic;
  const char* what;
  std::size_t at = 0;
};

// Images of kinds that are not read.
constexpr Signature other_images[]{
    {"II\xbc\x01"sv, "a JPEG XR image"},
    {"8BPS"sv, "a Photoshop document (PSD)"},
    {"\0\0\1\0"sv, "an icon (ICO)"},
    {"DDS "sv, "a DDS texture"},
    {"\x76\x2f\x31\x01"sv, "an OpenEXR image"},
    {"#?RADIANCE"sv, "a Radiance image (HDR)"},
    {"qoif"sv, "a QOI image"},
    {"SIMPLE  ="sv, "a FITS image"},
    {"DICM"sv, "a DICOM file", 128},
    {"IIRO"sv, "a camera raw file (ORF)"},
    {"FUJIFILMCCD-RAW"sv, "a camera raw file (RAF)"},
};

// What is no image at all.
constexpr Signature no_images[]{
    {"%PDF"sv, "a PDF document"},
    {"version https://git-lfs"sv, "a Git LFS pointer; fetch the file itself with 'git lfs pull'"},
    {"\0\5\x16\7"sv, "a file of macOS that accompanies another one (AppleDouble)"},
    {"\x1f\x8b"sv, "a gzip file"},
    {"PK\3\4"sv, "a zip file"},
    {"ustar"sv, "a tar archive", 257},
    {"\x89HDF\r\n\x1a\n"sv, "an HDF5 file"},
    {"\x93NUMPY"sv, "a NumPy array (.npy)"},
    {"PAR1"sv, "a Parquet file"},
    {"RIFF"sv, "a RIFF file of another kind, as sound or video"},
    {"\x1a\x45\xdf\xa3"sv, "a video (Matroska)"},
};

bool has(std::string_view bytes, const Signature& signature) {
  return bytes.size() > signature.at && bytes.substr(signature.at).starts_with(signature.magic);
}

// Of the ISO base media format, by its brands: HEIC, AVIF. Throws for camera raw files and videos.
ImageFormat isobmff(std::string_view bytes) {
  const std::string_view brand = bytes.substr(8, 4), brands = bytes.substr(8, 56);
  if (brands.find("avif") != brands.npos || brands.find("avis") != brands.npos)
    return ImageFormat::avif;
  for (const auto heif : {"hei", "hev", "mif1", "msf1"})
    if (brand.starts_with(heif)) return ImageFormat::heif;
  fail(ExitCode::data, "the file is ",
       brand == "crx " ? "a camera raw file (CR3)" : "a video (MP4 or QuickTime)",
       ", which is not read; convert it to PNG or JPEG");
}

// Of a file that begins as text: markup, or something else that is no image.
const char* text_kind(std::string_view bytes) {
  std::string head(bytes.substr(0, 512));
  std::transform(head.begin(), head.end(), head.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (head.find("<svg") != head.npos) return "an SVG drawing";
  if (head.find("<!doctype html") != head.npos || head.find("<html") != head.npos)
    return "an HTML page, perhaps an error message saved in place of the image";
  if (head.find("<?xml") != head.npos)
    return "an XML document, perhaps an error message saved in place of the image";
  return "a text file";
}

bool is_text(std::string_view bytes) {
  bytes = bytes.substr(0, 512);
  return std::all_of(bytes.begin(), bytes.end(), [](unsigned char c) {
    return c >= 0x20 || c == '\n' || c == '\r' || c == '\t' || c == '\f';
  });
}

}  // namespace

ImageFormat sniff_format(std::span<const std::uint8_t> file) {
  const std::string_view bytes(reinterpret_cast<const char*>(file.data()), file.size());
  check(!bytes.empty(), ExitCode::data, "the file is empty");
  const auto begins = [&](std::string_view magic) { return bytes.starts_with(magic); };
  constexpr auto convert = ", which is not read; convert it to PNG or JPEG";
  if (begins("\xff\xd8\xff"sv)) return ImageFormat::jpeg;
  if (begins("\x89PNG\r\n\x1a\n"sv)) return ImageFormat::png;
  if (begins("RIFF"sv) && has(bytes, {"WEBP"sv, "", 8})) return ImageFormat::webp;
  if (begins("GIF87a"sv) || begins("GIF89a"sv)) return ImageFormat::gif;
  check(!has(bytes, {"CR\2\0"sv, "", 8}), ExitCode::data, "the file is a camera raw file (CR2)",
        convert);
  if (begins("II*\0"sv) || begins("MM\0*"sv) || begins("II+\0"sv) || begins("MM\0+"sv))
    return ImageFormat::tiff;
  // "BM" alone begins many a text; the size of the second header tells.
  constexpr std::array<std::uint8_t, 7> bmp_headers{12, 40, 52, 56, 64, 108, 124};
  if (begins("BM"sv) && (bytes.size() <= 14 || std::find(bmp_headers.begin(), bmp_headers.end(),
                                                         file[14]) != bmp_headers.end()))
    return ImageFormat::bmp;
  if (begins("\0\0\0\x0cjP  \r\n\x87\n"sv) || begins("\xff\x4f\xff\x51"sv)) return ImageFormat::jp2;
  if (begins("\0\0\0\x0cJXL \r\n\x87\n"sv) || begins("\xff\x0a"sv)) return ImageFormat::jxl;
  if (bytes.size() >= 12 && has(bytes, {"ftyp"sv, "", 4})) return isobmff(bytes);

  for (const Signature& known : other_images)
    check(!has(bytes, known), ExitCode::data, "the file is ", known.what, convert);
  for (const Signature& known : no_images)
    check(!has(bytes, known), ExitCode::data, "not an image: the file is ", known.what);
  if (bytes.size() > 2 && bytes[0] == 'P' && bytes[1] >= '1' && bytes[1] <= '7' &&
      std::isspace(static_cast<unsigned char>(bytes[2])))
    fail(ExitCode::data, "the file is a PNM image (PBM, PGM, PPM or PAM)", convert);
  check(bytes.find_first_not_of('\0') != bytes.npos, ExitCode::data,
        "not an image: the file holds zero bytes only (an incomplete download or copy?)");
  check(!is_text(bytes), ExitCode::data, "not an image: the file is ", text_kind(bytes));
  fail(ExitCode::data,
       "not an image that can be read (JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC, AVIF, JPEG XL or "
       "JPEG 2000), whatever its name says");
}

}  // namespace sgmae
