// Oracles: Pillow (tests/golden/image.py) for whole images, the whole decode for regions.
#include "sgmae/image/decode.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "golden.h"
#include "sgmae/base/rng.h"

namespace sgmae {
namespace {

std::vector<std::uint8_t> bytes_of(const std::string& file) {
  return read_file(golden_path(file));
}

Image cut(const Image& image, const CropBox& box) {
  Image part{box.width, box.height, image.channels, {}};
  const ImageView source = crop(view(image), box);
  for (int y = 0; y < box.height; ++y)
    part.pixels.insert(part.pixels.end(), source.row(y),
                       source.row(y) + box.width * image.channels);
  return part;
}

std::string error_of(const std::vector<std::uint8_t>& bytes) {
  try {
    decode_image(bytes, 3);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::data);
    return error.what();
  }
  return "";
}

// Every format, colour type, chroma sampling and orientation: bit for bit.
TEST(Decode, EqualsPillow) {
  int files = 0;
  for (const auto& entry : golden("decode")) {
    SCOPED_TRACE(entry["file"].get<std::string>());
    const auto bytes = bytes_of(entry["file"]);
    ASSERT_EQ(error_of(bytes), "");
    const ImageInfo info = read_image_info(bytes);
    EXPECT_EQ(info.size.width, entry["width"]);
    EXPECT_EQ(info.size.height, entry["height"]);
    EXPECT_EQ(fingerprint(decode_image(bytes, 3).pixels), entry["rgb"]);
    EXPECT_EQ(fingerprint(decode_image(bytes, 1).pixels), entry["grey"]);
    ++files;
  }
  EXPECT_GE(files, 150);
}

// Transparent colours count too; turned as the pixels are.
TEST(Decode, AlphaEqualsPillow) {
  int files = 0;
  for (const auto& entry : golden("decode")) {
    const std::string file = entry["file"];
    SCOPED_TRACE(file);
    const auto bytes = bytes_of(file);
    const ImageInfo info = read_image_info(bytes);
    const auto alpha = decode_alpha(bytes, info);
    ASSERT_EQ(alpha.has_value(), entry.contains("alpha"));
    if (!alpha) continue;
    EXPECT_EQ(alpha->size(), info.size);
    EXPECT_EQ(fingerprint(alpha->pixels), entry["alpha"]);
    ++files;
  }
  EXPECT_GE(files, 14);
}

TEST(Decode, AlphaOfATruncatedFileIsAnError) {
  for (const std::string file : {"rgba.png", "alpha.webp", "animated_alpha.webp", "rgba.tif"}) {
    auto bytes = bytes_of(file);
    const ImageInfo info = read_image_info(bytes);
    bytes.resize(bytes.size() / 2);
    try {
      decode_alpha(bytes, info);
      ADD_FAILURE() << file;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::data) << file;
    }
  }
}

// Bit for bit, though JPEG decodes only the blocks that the region needs.
TEST(Decode, RegionEqualsCropOfWhole) {
  Rng rng(1, 0, 0, Purpose::augment);
  Image part;
  for (const auto& entry : golden("decode")) {
    const std::string file = entry["file"];
    const auto bytes = bytes_of(file);
    const ImageInfo info = read_image_info(bytes);
    for (const int channels : {3, 1}) {
      const Image image = decode_image(bytes, channels);
      for (int i = 0; i < 60; ++i) {
        CropBox box;
        box.x = static_cast<int>(rng.below(image.width));
        box.y = static_cast<int>(rng.below(image.height));
        box.width = 1 + static_cast<int>(rng.below(image.width - box.x));
        box.height = 1 + static_cast<int>(rng.below(image.height - box.y));
        decode_image(bytes, info, box, channels, part);
        ASSERT_EQ(part.pixels, cut(image, box).pixels)
            << file << " " << channels << " channels, " << box.width << "x" << box.height << " at "
            << box.x << "," << box.y;
      }
    }
  }
}

// As Pillow: a file that lacks its end is an error, wherever it was cut and whatever part is asked.
TEST(Decode, TruncatedIsAnError) {
  for (const std::string file :
       {"420.jpg", "progressive.jpg", "cmyk.jpg", "exif5.jpg", "grey.jpg"}) {
    const auto bytes = bytes_of(file);
    for (std::size_t size = 0; size < bytes.size(); size += 1 + size / 40)
      EXPECT_NE(error_of({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)}), "")
          << file << " cut to " << size;
    EXPECT_NE(error_of({bytes.begin(), bytes.end() - 1}), "") << file;
  }
  for (const std::string file :
       {"rgb.png", "interlaced.png", "lossy.webp", "lossless.webp", "palette.gif", "rgb.bmp",
        "runs4.bmp", "rgb_strips.tif", "rgb_lzw.tif", "rgb_deflate.tif", "rgb_jpeg.tif"}) {
    const auto bytes = bytes_of(file);
    const std::size_t enough =
        bytes.size() - bytes.size() / 10 - 20;  // a PNG may lack its last chunk
    for (std::size_t size = 0; size < enough; size += 1 + size / 40)
      EXPECT_NE(error_of({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)}), "")
          << file << " cut to " << size;
  }
}

TEST(Decode, TrailingBytesDoNotMatter) {
  auto bytes = bytes_of("420.jpg");
  const Image image = decode_image(bytes, 3);
  bytes.resize(bytes.size() + 1000);
  EXPECT_EQ(decode_image(bytes, 3).pixels, image.pixels);
}

// Changed bytes give an image or an Error, never anything else. (Run under ASan for the rest.)
TEST(Decode, DamagedFilesDoNotCrash) {
  Rng rng(2, 0, 0, Purpose::augment);
  int errors = 0, images = 0;
  for (const auto& entry : golden("decode")) {
    const auto bytes = bytes_of(entry["file"]);
    for (int i = 0; i < 100; ++i) {
      auto damaged = bytes;
      const auto changes = 1 + rng.below(4);
      for (std::int64_t k = 0; k < changes; ++k) {
        const std::int64_t range =
            rng.below(2) == 0 ? std::min<std::int64_t>(64, static_cast<std::int64_t>(bytes.size()))
                              : static_cast<std::int64_t>(bytes.size());
        damaged[static_cast<std::size_t>(rng.below(range))] =
            static_cast<std::uint8_t>(rng.below(256));
      }
      try {
        const ImageInfo info = read_image_info(damaged);
        if (static_cast<std::int64_t>(info.size.width) * info.size.height > 1'000'000) continue;
        decode_image(damaged, 3);
        ++images;
      } catch (const Error&) {
        ++errors;
      }
    }
  }
  EXPECT_GT(errors, 100);
  EXPECT_GT(images, 100);
}

TEST(Decode, SaysWhatIsWrong) {
  EXPECT_EQ(error_of({}), "the file is empty");
  const std::string text = "this is a text file called .jpg";
  EXPECT_EQ(error_of({text.begin(), text.end()}), "not an image: the file is a text file");
}

// A valid file of a kind that is not decoded is named, and not called damaged.
void expect_refused(const std::vector<std::uint8_t>& bytes, const std::string& name) {
  const std::string error = error_of(bytes);
  EXPECT_NE(error.find(name), std::string::npos) << error << ", expected " << name;
  EXPECT_EQ(error.find("damaged"), std::string::npos) << error;
  EXPECT_EQ(error.find("truncated"), std::string::npos) << error;
}

TEST(Decode, OtherJpegsAreNamed) {
  const std::uint8_t frame[] = {0xff, 0xc0, 0x00, 0x11, 0x08};
  const auto with = [&](std::size_t offset, std::uint8_t value) {
    auto bytes = bytes_of("420.jpg");
    const auto at = std::search(bytes.begin(), bytes.end(), std::begin(frame), std::end(frame));
    at[static_cast<std::ptrdiff_t>(offset)] = value;
    return bytes;
  };
  expect_refused(with(4, 12), "12-bit precision");
  expect_refused(with(4, 16), "16-bit precision");
  expect_refused(with(1, 0xc3), "lossless JPEG");
  expect_refused(with(1, 0xc5), "hierarchical");
  expect_refused(with(9, 2), "2 channels");
}

TEST(Decode, OtherTiffsAreNamed) {
  // Changes one field's value, stored in the directory, of an uncompressed little-endian file.
  const auto with = [&](const std::string& file, int tag, int value) {
    auto bytes = bytes_of(file);
    std::size_t at = 0;
    std::memcpy(&at, &bytes[4], 4);
    for (at += 2; bytes[at] + 256 * bytes[at + 1] != tag; at += 12) {
    }
    bytes[at + 8] = static_cast<std::uint8_t>(value);
    bytes[at + 9] = static_cast<std::uint8_t>(value >> 8);
    return bytes;
  };
  expect_refused(with("grey_white_is_zero.tif", 258, 12), "12 bits");
  expect_refused(with("grey_white_is_zero.tif", 258, 32), "32 bits");
  expect_refused(with("grey_white_is_zero.tif", 262, 8), "photometric interpretation 8");
  expect_refused(with("rgb_planes.tif", 262, 6), "YCbCr");
  expect_refused(with("grey_white_is_zero.tif", 262, 2), "1 bands");
  for (const auto& [number, name] : {std::pair{6, "old-style JPEG"},
                                     {34661, "JBIG"},
                                     {34887, "LERC"},
                                     {34925, "LZMA"},
                                     {50001, "WebP"},
                                     {32809, "number 32809"}})
    expect_refused(with("grey_white_is_zero.tif", 259, number), name);
  expect_refused(with("rgb_multiplied.tif", 338, 0), "4 bands");  // a fourth that is no alpha
  expect_refused(with("rgb_multiplied.tif", 262, 1), "4 bands");  // grey with three more
  auto raw = bytes_of("grey_white_is_zero.tif");
  const std::uint8_t counts[] = {0x17, 0x01, 4, 0},
                     version[] = {0x12, 0xc6, 1, 0, 4, 0, 0, 0, 1, 4};
  const auto at = std::search(raw.begin(), raw.end(), std::begin(counts), std::end(counts));
  ASSERT_NE(at, raw.end());
  std::copy(std::begin(version), std::end(version), at);
  expect_refused(raw, "DNG");
}

TEST(Decode, OtherBmpsAreNamed) {
  const auto with = [&](std::size_t offset, std::uint8_t value) {
    auto bytes = bytes_of("32bit.bmp");
    bytes[offset] = value;
    return bytes;
  };
  expect_refused(with(28, 2), "2 bits a pixel");
  expect_refused(with(28, 64), "64 bits a pixel");
  expect_refused(with(30, 4), "compression 4");
}

// Runs that leave pixels out, or run over the end of a row, as decoders have always taken them.
TEST(Decode, BmpRunsMayEndEarly) {
  const auto file = bytes_of("runs8.bmp");
  const std::size_t pixels = 54 + 64;
  const auto with_runs = [&](const std::vector<std::uint8_t>& runs) {
    std::vector<std::uint8_t> bytes(file.begin(), file.begin() + pixels);
    bytes.insert(bytes.end(), runs.begin(), runs.end());
    return bytes;
  };
  const Image whole_image = decode_image(with_runs({0, 1}), 3);
  for (std::size_t i = 0; i < whole_image.pixels.size(); i += 3)
    ASSERT_TRUE(
        std::equal(&whole_image.pixels[i], &whole_image.pixels[i] + 3, &whole_image.pixels[0]));
  const Image image = decode_image(with_runs({200, 5, 0, 0, 1, 6, 0, 1}), 3);
  const auto pixel = [&](int x, int from_below) {
    return &image.pixels[static_cast<std::size_t>(((9 - from_below) * 12 + x) * 3)];
  };
  const auto colour = [&](int number) { return &file[static_cast<std::size_t>(54 + 4 * number)]; };
  const auto equal = [](const std::uint8_t* rgb, const std::uint8_t* bgr) {
    return rgb[0] == bgr[2] && rgb[1] == bgr[1] && rgb[2] == bgr[0];
  };
  for (int x = 0; x < 12; ++x) EXPECT_TRUE(equal(pixel(x, 0), colour(5))) << x;
  EXPECT_TRUE(equal(pixel(0, 1), colour(6)));
  EXPECT_TRUE(equal(pixel(1, 1), colour(0)));
  EXPECT_NE(error_of(with_runs({1, 6, 0, 0})).find("truncated BMP"), std::string::npos);
}

// Tiles cost what they cover, which must not be far more than the image.
TEST(Decode, HugeTilesAreAnError) {
  auto bytes = bytes_of("rgb_tiles.tif");
  std::size_t at = 0;
  std::memcpy(&at, &bytes[4], 4);
  for (at += 2; bytes[at] + 256 * bytes[at + 1] != 322; at += 12) {
  }
  for (const std::size_t field : {at, at + 12}) bytes[field + 8] = 0xf0, bytes[field + 9] = 0xff;
  EXPECT_NE(error_of(bytes).find("far larger than the image"), std::string::npos)
      << error_of(bytes);
}

// Each further scan of a progressive file costs time in proportion to the image, not to its bytes.
TEST(Decode, TooManyScansAreAnError) {
  const auto bytes = bytes_of("progressive.jpg");
  const std::uint8_t start[] = {0xff, 0xda};
  const auto last = std::find_end(bytes.begin(), bytes.end(), std::begin(start), std::end(start));
  ASSERT_NE(last, bytes.end());
  const auto with_scans = [&](int more) {
    std::vector<std::uint8_t> file(bytes.begin(), bytes.end() - 2);  // without its end marker
    for (int i = 0; i < more; ++i) file.insert(file.end(), last, bytes.end() - 2);
    file.insert(file.end(), bytes.end() - 2, bytes.end());
    return file;
  };
  EXPECT_EQ(error_of(with_scans(100)), "");
  EXPECT_EQ(error_of(with_scans(600)), "damaged JPEG: more than 500 scans");
}

TEST(Decode, ChannelsAsStored) {
  const auto channels_of = [](const std::string& file) {
    return read_image_info(bytes_of(file)).channels;
  };
  for (const std::string file : {"grey.jpg", "grey.png", "bilevel.png", "grey_2bit.png"})
    EXPECT_EQ(channels_of(file), 1) << file;
  EXPECT_EQ(channels_of("grey_alpha.png"), 2);
  for (const std::string file :
       {"grey.bmp", "bilevel.bmp", "grey.tif", "bilevel_group4.tif", "no_colours.gif"})
    EXPECT_EQ(channels_of(file), 1) << file;
  EXPECT_EQ(channels_of("grey_alpha.tif"), 2);
  for (const std::string file : {"420.jpg", "rgb.png", "palette.png", "lossy.webp", "rgb.bmp",
                                 "palette.bmp", "palette.gif", "palette.tif", "rgb_jpeg.tif"})
    EXPECT_EQ(channels_of(file), 3) << file;
  for (const std::string file : {"cmyk.jpg", "rgba.png", "alpha.webp", "rgba.tif", "cmyk.tif"})
    EXPECT_EQ(channels_of(file), 4) << file;
}

// Rejected by its header, before any memory is asked for.
TEST(Decode, HugeDimensionsAreAnError) {
  auto jpeg = bytes_of("420.jpg");
  const std::uint8_t frame[] = {0xff, 0xc0, 0x00, 0x11, 0x08};
  const auto at = std::search(jpeg.begin(), jpeg.end(), std::begin(frame), std::end(frame));
  ASSERT_NE(at, jpeg.end());
  std::fill_n(at + 5, 4, std::uint8_t{0xff});
  EXPECT_NE(error_of(jpeg).find("65535x65535"), std::string::npos);
  auto png = bytes_of("rgb.png");
  std::memcpy(&png[16], "\0\1\0\0\0\1\0\0", 8);
  EXPECT_NE(error_of(png).find("65536x65536"), std::string::npos);
  std::memcpy(&png[16], "\0\0\0\0\0\0\0\1", 8);
  EXPECT_NE(error_of(png).find("no pixels"), std::string::npos);
  auto bmp = bytes_of("rgb.bmp");
  std::memcpy(&bmp[18], "\0\0\1\0\0\0\1\0", 8);
  EXPECT_NE(error_of(bmp).find("65536x65536"), std::string::npos);
  auto gif = bytes_of("palette.gif");
  std::memcpy(&gif[6], "\xff\xff\xff\xff", 4);
  EXPECT_NE(error_of(gif).find("65535x65535"), std::string::npos);
}

}  // namespace
}  // namespace sgmae
