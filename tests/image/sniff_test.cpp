// Oracle: the signatures that the formats' own definitions give.
#include "sgmae/image/sniff.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "golden.h"
#include "sgmae/base/error.h"

namespace sgmae {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

std::string error_of(std::string_view text) {
  try {
    sniff_format(std::vector<std::uint8_t>(text.begin(), text.end()));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::data);
    return error.what();
  }
  return "";
}

TEST(Sniff, Formats) {
  for (const auto& [file, name] : {std::pair{"420.jpg", "jpeg"},
                                   {"rgb.png", "png"},
                                   {"lossy.webp", "webp"},
                                   {"palette.gif", "gif"},
                                   {"rgb.bmp", "bmp"},
                                   {"os2.bmp", "bmp"},
                                   {"rgb.tif", "tiff"},
                                   {"rgb_strips.tif", "tiff"},
                                   {"rgb_big.tif", "tiff"}})
    EXPECT_STREQ(name_of(sniff_format(read_file(golden_path(file)))), name) << file;
}

std::string iso_media(std::string_view brand, std::string_view compatible) {
  return std::string("\0\0\0\x1c"sv) + "ftyp" + std::string(brand) + std::string("\0\0\0\0"sv) +
         std::string(compatible) + std::string(64, '\0');
}

TEST(Sniff, FormatsOfPlugins) {
  const auto is = [](const std::string& bytes) {
    return sniff_format({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
  };
  EXPECT_EQ(is(std::string("\0\0\0\x0cjP  \r\n\x87\n\0\0"sv)), ImageFormat::jp2);
  EXPECT_EQ(is(std::string("\xff\x4f\xff\x51\0"sv)), ImageFormat::jp2);
  EXPECT_EQ(is(std::string("\0\0\0\x0cJXL \r\n\x87\n"sv)), ImageFormat::jxl);
  EXPECT_EQ(is(std::string("\xff\x0a\0\0"sv)), ImageFormat::jxl);
  EXPECT_EQ(is(iso_media("heic", "mif1heic")), ImageFormat::heif);
  EXPECT_EQ(is(iso_media("mif1", "mif1heic")), ImageFormat::heif);
  EXPECT_EQ(is(iso_media("avif", "avifmif1")), ImageFormat::avif);
  EXPECT_EQ(is(iso_media("mif1", "mif1avif")), ImageFormat::avif);
}

// Each is named, none is called damaged, and images are told from other things.
TEST(Sniff, OtherFilesAreNamed) {
  struct Case {
    std::string bytes, name;
    bool image;
  };
  for (const Case& c : {
           Case{iso_media("isom", "isomiso2"), "video", true},
           {iso_media("crx ", "crx isom"), "CR3", true},
           {"II*\0\x10\0\0\0CR\2\0"s + std::string(40, '\0'), "camera raw", true},
           {"8BPS\0\1"s, "Photoshop", true},
           {std::string("\0\0\1\0\1\0"sv), "ICO", true},
           {std::string(128, '\0') + "DICM", "DICOM", true},
           {"P6\n4 4\n255\n"s, "PNM", true},
           {"SIMPLE  =                    T"s, "FITS", true},
           {"  \n<svg xmlns='http://www.w3.org/2000/svg'>"s, "SVG", false},
           {"<?xml version='1.0'?>\n<!-- a picture -->\n<svg>"s, "SVG", false},
           {"<!DOCTYPE HTML>\n<title>404 Not Found</title>"s, "HTML", false},
           {"<html><body>Access denied"s, "HTML", false},
           {"<?xml version='1.0'?><Error><Code>AccessDenied</Code>"s, "XML", false},
           {"version https://git-lfs.github.com/spec/v1\noid sha256:00"s, "git lfs pull", false},
           {"%PDF-1.7\n%\xe2\xe3"s, "PDF", false},
           {"PK\3\4\x14\0"s, "zip", false},
           {"\x1f\x8b\x08\0"s, "gzip", false},
           {std::string("\0\5\x16\7\0\2"sv), "macOS", false},
           {"BM25 is a ranking function"s, "text", false},
           {"{\"error\": 404}"s, "text", false},
           {std::string(1000, '\0'), "zero bytes", false},
       }) {
    const std::string error = error_of(c.bytes);
    EXPECT_NE(error.find(c.name), std::string::npos) << error << ", expected " << c.name;
    EXPECT_EQ(error.find("not an image") == std::string::npos, c.image) << error;
    EXPECT_EQ(error.find("damaged"), std::string::npos) << error;
  }
  EXPECT_EQ(error_of(""), "the file is empty");
  EXPECT_NE(error_of("\x80\x01\x02\x03").find("not an image that can be read"), std::string::npos);
}

}  // namespace
}  // namespace sgmae
